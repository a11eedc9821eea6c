//! A search from its start to its end.

use crate::bed::manifests::{REPORT, search};
use crate::bed::{on_bed, phase, phases, reason};

#[test]
fn a_search_runs_to_its_end() {
    on_bed("search", async |bed| {
        let operator = bed.operator("a").await;
        bed.apply(&search("forest", 5, 2, REPORT));
        let job = bed.until_finished("forest", 90).await;
        assert_eq!(
            (phase(&job), reason(&job)),
            (Some("Succeeded"), Some("MaxTrialsReached"))
        );
        let trials = bed.trials("forest").await;
        let names: Vec<_> = (1..=5)
            .map(|index| (format!("forest-{index}"), "Succeeded".to_string()))
            .collect();
        assert_eq!(phases(&trials), names);
        let best = job.status.unwrap().best.unwrap();
        let highest = trials
            .iter()
            .filter_map(|trial| trial.status.as_ref()?.objective)
            .fold(f64::MIN, f64::max);
        assert_eq!(best.objective, highest);
        let denied = operator
            .way
            .witnessed()
            .into_iter()
            .filter(|request| request.code == Some(403));
        assert_eq!(
            denied.map(|request| request.path).collect::<Vec<_>>(),
            Vec::<String>::new()
        );
        assert!(operator.terminate().await.success());
    });
}
