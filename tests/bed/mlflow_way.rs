//! The way of one operator to the test bed's MLflow: it witnesses every write, and the operator dies where a test says so.

use super::Bed;
use super::cuts::Moment;
use super::forests::IMAGE;
use super::manifests::model_registry;
use super::mlflow::Mlflow;
use super::mlflow_proxy::{self, Call, Fate, Said};
use super::operator::Operator;
use std::process::Child;
use std::sync::{Arc, Mutex};

pub struct MlflowWay {
    pub url: String,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Default)]
struct Seen {
    passed_on: Vec<Call>,
    /// Writes that came, whether they were passed on or not.
    came: usize,
    die: Option<(usize, Moment)>,
    deaths: usize,
}

impl MlflowWay {
    /// An operator that was just started, on a way to MLflow that its registry names.
    pub async fn with_operator(bed: &Bed, mlflow: &Mlflow) -> (Operator, Self) {
        let operator = bed.dead_operator("a").await;
        let operator = operator.with("PODIUM_ALLOWED_HOSTS", "*=127.0.0.1");
        let operator = operator.with("PODIUM_IMAGE", IMAGE);
        let way = Self::open(&mlflow.url, &operator).await;
        bed.apply(&model_registry(&way.url));
        operator.start_again();
        (operator, way)
    }

    pub async fn open(upstream: &str, operator: &Operator) -> Self {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let (watched, child) = (Arc::clone(&seen), operator.child());
        let url = mlflow_proxy::open(upstream, move |call| fate(call, &watched, &child)).await;
        Self { url, seen }
    }

    /// The operator dies at the n-th write from now on.
    pub fn die_at(&self, nth: usize, moment: Moment) {
        let mut seen = self.seen.lock().unwrap();
        seen.came = 0;
        seen.die = Some((nth, moment));
    }

    /// Forgets what was witnessed, and where the operator was to die.
    pub fn forget(&self) {
        let mut seen = self.seen.lock().unwrap();
        seen.passed_on.clear();
        seen.die = None;
    }

    /// How often the operator died here.
    pub fn deaths(&self) -> usize {
        self.seen.lock().unwrap().deaths
    }

    /// The writes that MLflow got since they were forgotten.
    pub fn writes(&self) -> Vec<Call> {
        self.seen.lock().unwrap().passed_on.clone()
    }
}

fn fate(call: &Call, seen: &Arc<Mutex<Seen>>, child: &Arc<Mutex<Option<Child>>>) -> Fate {
    if !call.is_write() {
        return Fate::Pass;
    }
    let moment = {
        let mut seen = seen.lock().unwrap();
        seen.came += 1;
        let came = seen.came;
        let moment = seen.die.filter(|(nth, _)| *nth == came);
        moment.map(|(_, moment)| moment)
    };
    if moment != Some(Moment::BeforeRequest) {
        seen.lock().unwrap().passed_on.push(call.clone());
    }
    let kill = {
        let (seen, child) = (Arc::clone(seen), Arc::clone(child));
        move || {
            if let Some(mut child) = child.lock().unwrap().take() {
                let _ = child.kill();
                let _ = child.wait();
                seen.lock().unwrap().deaths += 1;
            }
        }
    };
    match moment {
        None => Fate::Pass,
        Some(Moment::BeforeRequest) => {
            kill();
            Fate::Answer(Said::json(502, "{}"))
        }
        Some(Moment::AfterRequest) => Fate::BreakThen(Box::new(kill)),
        Some(_) => Fate::PassThen(Box::new(kill)),
    }
}
