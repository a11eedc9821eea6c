//! Comparisons of the small world: the better version has the higher number, whatever files are read.

use super::wishes::Files;
use super::world::{CHAMPION, Lens, World};
use podium_core::champion::{
    ComparedEvidence, EvaluationState, EvaluationView, Judged, JudgedLook, LookTaken,
};
use podium_core::comparison::{Holdout, Settings, Statistics, Verdict, judge, measure};
use podium_core::looks::Sketch;
use std::sync::LazyLock;

/// Statistics of a challenger that is better, and of one that is worse.
///
/// They are computed by a pool of their own: those who wait for them may be all threads of rayon's common pool, which then would compute
/// nothing for ever.
static STATISTICS: LazyLock<[Statistics; 2]> = LazyLock::new(|| {
    std::thread::spawn(|| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build();
        let compute = || [mk_statistics([0.1, 0.9]), mk_statistics([0.9, 0.1])];
        pool.expect("a thread can be started").install(compute)
    })
    .join()
    .expect("the rows are fine")
});

fn mk_statistics(signal: [f64; 2]) -> Statistics {
    let mut holdout = Holdout::default();
    for row in 0..400_u32 {
        let label = row % 2;
        let noise = |step: u32| f64::from(row * step % 97) / 97.0;
        holdout.labels.push(u8::from(label == 1));
        holdout
            .champion
            .push(signal[0] * f64::from(label) + noise(31));
        holdout
            .challenger
            .push(signal[1] * f64::from(label) + noise(53));
    }
    let settings = Settings {
        resamples: 200,
        ..Settings::default()
    };
    measure(&holdout, &settings, 1, &mut |_, _| {}).expect("the rows are fine")
}

/// Of two versions the one with the higher number is better.
fn statistics(champion: &str, challenger: &str) -> &'static Statistics {
    &STATISTICS[usize::from(challenger < champion)]
}
impl World {
    /// Digest of the evidence for a pair, and name of its comparison.
    pub fn digest(&self, champion: &str, challenger: &str) -> String {
        digest_of(champion, challenger, self.files_read(champion, challenger))
    }

    /// The comparisons at hand, as a lens shows them.
    pub fn evaluations(&self, lens: &Lens) -> Vec<EvaluationView<'static>> {
        let Some(champion) = self.alias(CHAMPION) else {
            return Vec::new();
        };
        let others = self.registry.versions.keys().filter(|v| *v != champion);
        others
            .filter(|challenger| self.is_compared(champion, challenger))
            .map(|challenger| self.evaluation(champion, challenger, lens))
            .collect()
    }

    fn evaluation(&self, champion: &str, challenger: &str, lens: &Lens) -> EvaluationView<'static> {
        let statistics = statistics(champion, challenger);
        let files = self.files_read(champion, challenger);
        let (seen, confirmation) = self.seen(champion, challenger);
        let key = (champion.to_string(), challenger.to_string(), files);
        let judged = self.verdicts.get(&key).map(|(number, error)| {
            let allowed_error = f64::from_bits(*error);
            let comparison = judge(statistics, &[], allowed_error);
            Judged {
                lower_bound: comparison.least_improvement(),
                verdict: comparison.verdict,
                look: Some(JudgedLook {
                    number: *number,
                    allowed_error,
                }),
                sentence: format!("v{challenger} is as found."),
            }
        });
        let in_flight = self
            .memory
            .in_flight
            .as_ref()
            .and_then(|f| f.evidence.as_ref());
        let believed = in_flight.filter(|_| lens.believes_evidence);
        EvaluationView {
            name: digest_of(champion, challenger, files),
            champion: champion.to_string(),
            challenger: challenger.to_string(),
            state: EvaluationState::Compared(Box::new(ComparedEvidence {
                digest: believed
                    .map_or_else(|| self.digest(champion, challenger), |e| e.digest.clone()),
                holdout: believed.map_or_else(
                    || files.fingerprint().to_string(),
                    |evidence| evidence.holdout.clone(),
                ),
                sketch: match (lens.every_holdout_is_new, files) {
                    _ if believed.is_some() => Files::First.sketch(),
                    (true, Files::OneRowChanged) => Sketch::of(200..210),
                    (_, files) => files.sketch(),
                },
                statistics,
                measurements: Vec::new(),
                seen,
                confirmation,
                judged: match believed {
                    Some(_) => Some(Judged {
                        verdict: Verdict::Superior,
                        look: self.any_look(champion, challenger),
                        lower_bound: 0.1,
                        sentence: String::new(),
                    }),
                    None => judged,
                },
            })),
        }
    }

    /// The look of a verdict on this pair, whatever files lay there.
    fn any_look(&self, champion: &str, challenger: &str) -> Option<JudgedLook> {
        let mut of_pair = self
            .verdicts
            .iter()
            .filter(|((from, to, _), _)| from == champion && to == challenger);
        let (_, (number, error)) = of_pair.next()?;
        Some(JudgedLook {
            number: *number,
            allowed_error: f64::from_bits(*error),
        })
    }

    /// Takes the verdict of a comparison at a look.
    pub fn judge(&mut self, evaluation: &str, look: Option<&LookTaken>) {
        let mut parts = evaluation.split('-');
        if let (Some(champion), Some(challenger), Some(look)) = (parts.next(), parts.next(), look) {
            // A comparison of other files was asked before; the name says of which.
            if evaluation == self.digest(champion, challenger) {
                let files = self.files_read(champion, challenger);
                let key = (champion.to_string(), challenger.to_string(), files);
                self.verdicts
                    .insert(key, (look.number, look.allowed_error.to_bits()));
            }
        }
    }
}

/// Digest of the evidence that a comparison of these files makes, by which it is named too.
pub fn digest_of(champion: &str, challenger: &str, files: Files) -> String {
    format!("{champion}-{challenger}-{files:?}")
}
