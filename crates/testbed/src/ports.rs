//! Addresses of a cluster.

use crate::{TestbedError, at};
use serde::{Deserialize, Serialize};
use std::hash::{BuildHasher, RandomState};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::time::Duration;

/// The addresses of services; the first is the API server's.
pub const SERVICES: &str = "10.123.0.0/24";

/// The address at which pods find the API server, the service `kubernetes`.
pub const API_SERVER_SERVICE: &str = "10.123.0.1";
/// Where pods reach MLflow.
pub const MLFLOW_SERVICE: &str = "10.123.0.2:5000";
/// Where pods reach the object store.
pub const S3_SERVICE: &str = "10.123.0.3:7070";

/// Below the ports of outgoing connections, which begin at 32768, and below those of node ports, which begin at 30000.
const FIRST: u16 = 10_000;
const LAST: u16 = 30_000;
const TRIES: usize = 100;

/// Free ports of 127.0.0.1 and a free network for pods, chosen once per cluster, so that clusters live side by side.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Ports {
    /// etcd for its clients.
    pub etcd: u16,
    /// etcd for other etcds; there are none.
    pub etcd_peer: u16,
    /// The API server.
    pub api_server: u16,
    /// The controller manager's health and metrics.
    pub controller_manager: u16,
    /// The scheduler's health and metrics.
    pub scheduler: u16,
    /// The kubelet for the API server.
    pub kubelet: u16,
    /// The kubelet's health.
    pub kubelet_health: u16,
    /// The model registry.
    #[serde(default)]
    pub mlflow: u16,
    /// The object store.
    #[serde(default)]
    pub s3: u16,
    /// Pods have addresses of 10.88.SUBNET.0/24.
    #[serde(default)]
    pub subnet: u8,
}

impl Ports {
    /// Ports that nobody listens on, and a network that nobody has.
    ///
    /// # Errors
    /// There are none.
    pub fn free() -> Result<Self, TestbedError> {
        // All are held at once, so that they differ.
        let held: Vec<TcpListener> = (0..9).map(|_| free()).collect::<Result<_, _>>()?;
        let mut ports = held
            .iter()
            .filter_map(|listener| listener.local_addr().ok())
            .map(|address| address.port());
        let mut next = || ports.next().ok_or_else(no_free_port);
        let kubelet = next()?;
        Ok(Self {
            etcd: next()?,
            etcd_peer: next()?,
            api_server: next()?,
            controller_manager: next()?,
            scheduler: next()?,
            kubelet,
            kubelet_health: next()?,
            mlflow: next()?,
            s3: next()?,
            subnet: free_subnet(kubelet)?,
        })
    }
}

/// A port of 127.0.0.1 that nobody listens on, for a server that is started later.
///
/// # Errors
/// There is none.
pub fn free_port() -> Result<u16, TestbedError> {
    let address = at(Path::new("127.0.0.1"), free()?.local_addr())?;
    Ok(address.port())
}

/// What a server of this machine answers when it is asked for its health.
pub(crate) fn health(port: u16) -> std::io::Result<String> {
    health_below(port, "")
}

fn health_below(port: u16, prefix: &str) -> std::io::Result<String> {
    let mut connection = TcpStream::connect(("127.0.0.1", port))?;
    connection.set_read_timeout(Some(Duration::from_secs(5)))?;
    let asked = format!("GET {prefix}/health HTTP/1.0\r\nHost: localhost\r\n\r\n");
    connection.write_all(asked.as_bytes())?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer)?;
    Ok(answer)
}

/// Whether a server of this machine says that it is well.
pub(crate) fn is_healthy(port: u16) -> bool {
    is_healthy_below(port, "")
}

/// The same of one whose paths begin with `prefix`.
pub(crate) fn is_healthy_below(port: u16, prefix: &str) -> bool {
    health_below(port, prefix).is_ok_and(|answer| answer.contains(" 200 "))
}

/// Of the ports that the kernel gives to nobody: one of those that it gives to outgoing connections may be taken before its server listens.
fn free() -> Result<TcpListener, TestbedError> {
    // Each state is a random one, so that those who choose at the same time choose differently.
    let any = || RandomState::new().hash_one(()) % u64::from(LAST - FIRST);
    let ports = std::iter::repeat_with(|| FIRST + any() as u16).take(TRIES);
    ports
        .map(|port| TcpListener::bind(("127.0.0.1", port)))
        .find_map(Result::ok)
        .ok_or_else(no_free_port)
}

fn no_free_port() -> TestbedError {
    TestbedError::Needs("free ports on 127.0.0.1".to_string())
}

/// The first network from one named after `number` on whose gateway is no address of this machine.
fn free_subnet(number: u16) -> Result<u8, TestbedError> {
    (0..=255)
        .map(|offset| (number % 256 + offset) as u8)
        // An address that one can bind is taken.
        .find(|subnet| TcpListener::bind((Ipv4Addr::new(10, 88, *subnet, 1), 0)).is_err())
        .ok_or_else(|| TestbedError::Needs("a free network below 10.88.0.0/16".to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_ports_are_none_of_outgoing_connections() {
        let held: Vec<TcpListener> = (0..50).map(|_| free().unwrap()).collect();
        for listener in &held {
            let port = listener.local_addr().unwrap().port();
            assert!((FIRST..LAST).contains(&port), "{port}");
        }
        let port = free_port().unwrap();
        assert!(TcpListener::bind(("127.0.0.1", port)).is_ok());
    }
}
