//! Objects of kinds that this world does not carry out.

use super::trial::is_deleted;
use super::{Engine, Requeue};
use crate::ports::{Cluster, Object, PortError, Ports};
use podium_api::convert::{read_object, stalled_conditions, with_conditions};
use podium_api::schema::Conditions;
use serde_json::{Value, json};

/// The reason in their conditions.
const REASON: &str = "NotInThisVersion";

impl<P: Ports> Engine<P> {
    /// Writes on an object that nothing is done with it.
    ///
    /// # Errors
    /// A port could not do what it was asked.
    pub async fn report_not_in_this_version<K: Object>(
        &self,
        name: &str,
    ) -> Result<Requeue, PortError> {
        let found = self.ports.cluster().get::<K>(name).await?;
        let Some(object) = found.filter(|object| !is_deleted(object)) else {
            return Ok(Requeue::default());
        };
        let message = format!(
            "this version of Podium does not carry out {} objects in a cluster; `podium run` does",
            K::kind(&())
        );
        let generation = object.meta().generation;
        let invalid = |error: serde_json::Error| PortError::invalid(error.to_string());
        let mut value = serde_json::to_value(&object).map_err(invalid)?;
        let before = value.pointer("/status/conditions");
        let before: Conditions = before
            .and_then(|conditions| serde_json::from_value(conditions.clone()).ok())
            .unwrap_or_default();
        let desired = stalled_conditions(REASON, &message);
        let conditions = with_conditions(&before, &desired, generation, self.now());
        if let Value::Object(fields) = &mut value {
            let status = json!({"observedGeneration": generation, "conditions": conditions});
            fields.insert("status".to_string(), status);
        }
        let updated: K =
            read_object(&value).map_err(|problem| PortError::invalid(problem.to_string()))?;
        self.ports.cluster().write_status(&updated).await?;
        Ok(Requeue::default())
    }
}
