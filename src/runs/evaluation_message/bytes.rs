//! Numbers and texts as few bytes, and back from bytes that anybody may have written.

use podium_core::metrics::{UndefinedReason, Value};

/// The largest number that a status has a place for, and its negative the smallest.
const LARGEST: f64 = 1e18;
/// Numbers of rows and bytes lie below this: a double holds each of them.
const LARGEST_COUNT: u64 = 1 << 53;
/// Longest text.
const TEXT: u64 = 8192;
/// What a value is that is no number, in the order of their bytes.
const UNDEFINED: [UndefinedReason; 7] = [
    UndefinedReason::NoWeight,
    UndefinedReason::NoPositives,
    UndefinedReason::NoNegatives,
    UndefinedReason::NoPredictedPositives,
    UndefinedReason::ConstantPrediction,
    UndefinedReason::NothingPositive,
    UndefinedReason::NotProbabilities,
];

/// Writes values one after the other.
#[derive(Debug, Default)]
pub(super) struct Writer(pub(super) Vec<u8>);

impl Writer {
    pub(super) fn byte(&mut self, byte: u8) {
        self.0.push(byte);
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// Seven bits a byte, the lowest first; the highest bit says that more follow.
    pub(super) fn count(&mut self, count: u64) {
        let mut rest = count;
        while rest >= 0x80 {
            self.byte((rest & 0x7f) as u8 | 0x80);
            rest >>= 7;
        }
        self.byte(rest as u8);
    }

    pub(super) fn float(&mut self, number: f64) {
        self.bytes(&number.to_be_bytes());
    }

    pub(super) fn floats(&mut self, numbers: &[f64]) {
        for number in numbers {
            self.float(*number);
        }
    }

    /// A byte that says whether there is one, and what `write` makes of it.
    pub(super) fn option<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T)) {
        self.byte(u8::from(value.is_some()));
        if let Some(value) = value {
            write(self, value);
        }
    }

    pub(super) fn text(&mut self, text: &str) {
        self.count(text.len() as u64);
        self.bytes(text.as_bytes());
    }

    pub(super) fn value(&mut self, value: Value) {
        match value {
            Value::Defined(number) => {
                self.byte(0);
                self.float(number);
            }
            Value::Undefined(reason) => {
                let place = UNDEFINED.iter().position(|known| *known == reason);
                let place = place.and_then(|place| u8::try_from(place).ok());
                self.byte(place.unwrap_or(0) + 1);
            }
        }
    }
}

/// Reads them again. Nothing is read beyond the end, no number is outside of what a status holds.
#[derive(Debug)]
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn is_at_its_end(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    pub(super) fn bytes(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    pub(super) fn count(&mut self) -> Option<u64> {
        let mut count: u64 = 0;
        for shift in (0..=49).step_by(7) {
            let byte = self.byte()?;
            count |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return (count < LARGEST_COUNT).then_some(count);
            }
        }
        None
    }

    pub(super) fn float(&mut self) -> Option<f64> {
        let bytes = self.bytes(8)?.try_into().ok()?;
        let number = f64::from_be_bytes(bytes);
        // Of NaN neither holds.
        (number.abs() <= LARGEST).then_some(number)
    }

    /// `None` inside for an absent one.
    pub(super) fn option<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Option<T>,
    ) -> Option<Option<T>> {
        match self.byte()? {
            0 => Some(None),
            1 => read(self).map(Some),
            _ => None,
        }
    }

    pub(super) fn text(&mut self) -> Option<&'a str> {
        let length = self.count().filter(|length| *length <= TEXT)?;
        let bytes = self.bytes(usize::try_from(length).ok()?)?;
        std::str::from_utf8(bytes).ok()
    }

    pub(super) fn value(&mut self) -> Option<Value> {
        match self.byte()? {
            0 => self.float().map(Value::Defined),
            place => {
                let reason = UNDEFINED.get(usize::from(place) - 1)?;
                Some(Value::Undefined(*reason))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let counts = [0, 1, 127, 128, 300, 67_080, LARGEST_COUNT - 1];
        let floats = [0.0, -0.0, 1.5e-300, -0.9123456789012345, 1e18];
        let mut writer = Writer::default();
        for count in counts {
            writer.count(count);
        }
        writer.floats(&floats);
        for reason in UNDEFINED {
            writer.value(Value::Undefined(reason));
        }
        writer.value(Value::Defined(0.25));
        writer.option(None::<f64>, Writer::float);
        writer.option(Some(2.0), Writer::float);
        writer.text("naïve");
        let mut reader = Reader(&writer.0);
        for count in counts {
            assert_eq!(reader.count(), Some(count));
        }
        for float in floats {
            assert_eq!(reader.float().map(f64::to_bits), Some(float.to_bits()));
        }
        for reason in UNDEFINED {
            assert_eq!(reader.value(), Some(Value::Undefined(reason)));
        }
        assert_eq!(reader.value(), Some(Value::Defined(0.25)));
        assert_eq!(reader.option(Reader::float), Some(None));
        assert_eq!(reader.option(Reader::float), Some(Some(2.0)));
        assert_eq!(reader.text(), Some("naïve"));
        assert!(reader.is_at_its_end());
        assert_eq!(reader.byte(), None);
    }

    #[test]
    fn what_no_status_holds_is_not_read() {
        for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1.1e18, -1e300] {
            let mut writer = Writer::default();
            writer.float(number);
            assert_eq!(Reader(&writer.0).float(), None, "{number}");
        }
        for count in [LARGEST_COUNT, u64::MAX] {
            let mut writer = Writer::default();
            writer.count(count);
            assert_eq!(Reader(&writer.0).count(), None, "{count}");
        }
        assert_eq!(Reader(&[0x80; 64]).count(), None);
        assert_eq!(Reader(&[8, 1]).value(), None);
        assert_eq!(Reader(&[2, 0]).option(Reader::byte), None);
        // A length beyond the end, and one that is no text.
        assert_eq!(Reader(&[200, 1, b'a']).text(), None);
        assert_eq!(Reader(&[1, 0xff]).text(), None);
        assert_eq!(Reader(&[255, 255, 255, 255, 15]).text(), None);
    }
}
