//! Which hosts the operator may connect to on behalf of a namespace.
//!
//! The operator stands inside of the cluster's network, and whoever may create a `ModelRegistry`, or name a receiver of notifications, names
//! the address it connects to. So hosts are allowed by namespace, and addresses that mean the operator's own machine or its cloud's metadata
//! only where somebody named them.

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// In each error about an address that may not be connected to.
pub(super) const NOT_ALLOWED: &str = "is not allowed by --allowed-hosts";
/// The same of receivers of notifications.
pub(in crate::adapters) const NOT_ALLOWED_TO_NOTIFY: &str =
    "is not allowed by --notify-allowed-hosts";

/// Host patterns by namespace, where `*` means every namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowedHosts(BTreeMap<String, Vec<String>>);

/// What a namespace may connect to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostRules(Vec<String>);

/// How a host may be connected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permit {
    /// At whatever address it has.
    Named,
    /// At addresses that are no [special](is_special) ones.
    Ordinary,
}

impl Default for AllowedHosts {
    /// Every namespace, every host that is not special.
    fn default() -> Self {
        Self(BTreeMap::from([("*".to_string(), vec!["*".to_string()])]))
    }
}

impl AllowedHosts {
    /// Rules of the form `NAMESPACE=HOST`. A host is a name, an address, `*.DOMAIN` for all names below a domain, or `*`.
    ///
    /// # Errors
    /// What must hold for the first rule that cannot be understood.
    pub fn parse<'a>(rules: impl IntoIterator<Item = &'a str>) -> Result<Self, String> {
        let mut hosts: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for rule in rules {
            let (namespace, host) = rule
                .split_once('=')
                .map(|(namespace, host)| (namespace.trim(), host.trim()))
                .filter(|(namespace, host)| !namespace.is_empty() && is_pattern(host))
                .ok_or_else(|| {
                    format!("`{rule}` must be NAMESPACE=HOST, where HOST is a name, an address, *.DOMAIN or *, without scheme and port")
                })?;
            let of_namespace = hosts.entry(namespace.to_string()).or_default();
            of_namespace.push(normal(host));
        }
        Ok(Self(hosts))
    }

    /// The rules of a namespace.
    #[must_use]
    pub fn of(&self, namespace: &str) -> HostRules {
        let own = self.0.get(namespace).into_iter().flatten();
        let all = self.0.get("*").into_iter().flatten();
        HostRules(own.chain(all).cloned().collect())
    }
}

impl HostRules {
    /// How this host may be connected to; `None` for not at all.
    #[must_use]
    pub fn permit(&self, host: &str) -> Option<Permit> {
        let host = normal(host);
        if self.0.contains(&host) {
            return Some(Permit::Named);
        }
        let matches = |pattern: &String| match pattern.strip_prefix('*') {
            Some(suffix) => host.ends_with(suffix),
            None => false,
        };
        let literal: Option<IpAddr> = host.parse().ok();
        let permitted = self.0.iter().any(matches) && !literal.is_some_and(is_special);
        permitted.then_some(Permit::Ordinary)
    }
}

fn is_pattern(host: &str) -> bool {
    let name = host.strip_prefix("*.").unwrap_or(host);
    host == "*" || normal(name).parse::<IpAddr>().is_ok() || {
        !name.is_empty() && !name.contains(['*', '/', ':', ' ', '@'])
    }
}

/// Lower case, without the brackets of an IPv6 address and the dot of a fully qualified name. An address has many forms, of which one is taken.
fn normal(host: &str) -> String {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    match host.parse::<IpAddr>() {
        Ok(address) => address.to_string(),
        Err(_) => host,
    }
}

/// Whether an address is no other machine's: loopback, link-local, unspecified, multicast, or the metadata service of a cloud.
#[must_use]
pub fn is_special(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_special_v4(v4),
        IpAddr::V6(v6) => is_special_v6(v6) || meant_v4(v6).is_some_and(is_special_v4),
    }
}

/// Metadata services outside of the link-local range: Alibaba Cloud, Oracle Cloud and Azure.
const METADATA_V4: [Ipv4Addr; 3] = [
    Ipv4Addr::new(100, 100, 100, 200),
    Ipv4Addr::new(192, 0, 0, 192),
    Ipv4Addr::new(168, 63, 129, 16),
];
/// That of Google Cloud.
const METADATA_V6: Ipv6Addr = Ipv6Addr::new(0xfd20, 0x00ce, 0, 0, 0, 0, 0, 0x254);

/// The address of IPv4 that a gateway or the own machine takes one of IPv6 for: mapped, compatible, NAT64 or 6to4.
fn meant_v4(v6: Ipv6Addr) -> Option<Ipv4Addr> {
    match v6.segments() {
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low]
        | [0x0064, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x2002, high, low, ..] => Some(Ipv4Addr::from((u32::from(high) << 16) | u32::from(low))),
        _ => None,
    }
}

fn is_special_v4(v4: Ipv4Addr) -> bool {
    v4.octets()[0] == 0
        || v4.is_loopback()
        || v4.is_link_local()
        || v4.is_multicast()
        || v4.is_broadcast()
        || METADATA_V4.contains(&v4)
}

fn is_special_v6(v6: Ipv6Addr) -> bool {
    v6.is_loopback()
        || v6.is_unspecified()
        || v6.is_unicast_link_local()
        || v6.is_multicast()
        || v6 == METADATA_V6
        // The services that AWS gives to its machines.
        || matches!(v6.segments(), [0xfd00, 0x0ec2, ..])
}

/// Resolves names to addresses that may be connected to. It looks at the very addresses that are then used, so that a name that changes
/// between a check and its use gains nothing.
pub(in crate::adapters) struct GuardedResolver {
    pub(in crate::adapters) permit: Permit,
    /// Which rules an address that is refused is not allowed by.
    pub(in crate::adapters) not_allowed: &'static str,
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (permit, not_allowed) = (self.permit, self.not_allowed);
        Box::pin(async move {
            let host = name.as_str().to_string();
            let found = tokio::net::lookup_host((host.as_str(), 0)).await?;
            let found: Vec<SocketAddr> = found.collect();
            let allowed: Vec<SocketAddr> = found
                .iter()
                .filter(|address| permit == Permit::Named || !is_special(address.ip()))
                .copied()
                .collect();
            match (allowed.is_empty(), found.first()) {
                (true, Some(first)) => {
                    let message =
                        format!("{host} has the address {}, which {not_allowed}", first.ip());
                    Err(message.into())
                }
                _ => Ok(Box::new(allowed.into_iter()) as Addrs),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn permit(rules: &[&str], namespace: &str, host: &str) -> Option<Permit> {
        AllowedHosts::parse(rules.iter().copied())
            .unwrap()
            .of(namespace)
            .permit(host)
    }

    #[test]
    fn a_host_is_allowed_by_name_domain_or_star_of_its_namespace() {
        let rules = [
            "team-a=mlflow.example.com",
            "team-a=*.corp.example",
            "*=shared.example.com",
            "team-b=*",
        ];
        let cases = [
            ("team-a", "mlflow.example.com", Some(Permit::Named)),
            ("team-a", "MLflow.Example.com.", Some(Permit::Named)),
            ("team-a", "x.corp.example", Some(Permit::Ordinary)),
            ("team-a", "corp.example", None),
            ("team-a", "xcorp.example", None),
            ("team-a", "other.example.com", None),
            ("team-a", "shared.example.com", Some(Permit::Named)),
            ("team-b", "anything.example", Some(Permit::Ordinary)),
            ("team-c", "mlflow.example.com", None),
            ("team-c", "shared.example.com", Some(Permit::Named)),
        ];
        for (namespace, host, expected) in cases {
            assert_eq!(
                permit(&rules, namespace, host),
                expected,
                "{namespace} {host}"
            );
        }
        let default = AllowedHosts::default().of("any");
        assert_eq!(default.permit("mlflow.example.com"), Some(Permit::Ordinary));
        assert_eq!(default.permit("169.254.169.254"), None);
    }

    #[test]
    fn addresses_of_the_own_machine_must_be_named() {
        let special = [
            "127.0.0.1",
            "127.8.8.8",
            "0.0.0.0",
            "169.254.169.254",
            "100.100.100.200",
            "168.63.129.16",
            "224.0.0.1",
            "::1",
            "::",
            "fe80::1",
            "fd00:ec2::254",
            "::ffff:127.0.0.1",
            "fd00:ec2::23",
            "fd20:ce::254",
            "::ffff:169.254.169.254",
            "::127.0.0.1",
            "64:ff9b::169.254.169.254",
            "2002:7f00:1::",
        ];
        for address in special {
            assert_eq!(permit(&["*=*"], "a", address), None, "{address}");
            let bracketed = format!("[{address}]");
            let named = format!("a={address}");
            assert_eq!(permit(&[&named], "a", address), Some(Permit::Named));
            if address.contains(':') {
                assert_eq!(permit(&[&named], "a", &bracketed), Some(Permit::Named));
                assert_eq!(permit(&["*=*"], "a", &bracketed), None, "{address}");
            }
        }
        for address in [
            "10.0.0.1",
            "192.168.1.1",
            "8.8.8.8",
            "fd00::1",
            "2001:db8::1",
            "64:ff9b::8.8.8.8",
        ] {
            assert_eq!(permit(&["*=*"], "a", address), Some(Permit::Ordinary));
        }
    }

    #[test]
    fn an_address_is_the_same_in_each_of_its_forms() {
        let forms = ["fd00::1", "FD00:0:0::0001", "[fd00:0000::1]"];
        for rule in forms {
            for host in forms {
                let found = permit(&[&format!("a={rule}")], "a", host);
                assert_eq!(found, Some(Permit::Named), "{rule} {host}");
            }
        }
        // As addresses show it.
        let mapped = permit(&["a=::ffff:127.0.0.1"], "a", "[::ffff:7f00:1]");
        assert_eq!(mapped, Some(Permit::Named));
    }

    #[test]
    fn rules_that_cannot_be_understood_are_refused() {
        for rule in [
            "mlflow",
            "=a",
            "a=",
            "a=https://b",
            "a=b:5000",
            "a=*b.example",
            "a=x y",
        ] {
            let error = AllowedHosts::parse([rule]).unwrap_err();
            assert!(error.starts_with(&format!("`{rule}` must be NAMESPACE=HOST")));
        }
    }

    #[test]
    fn a_name_of_the_own_machine_is_resolved_only_where_it_is_named() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let resolve = |permit| {
            let name: Name = "localhost".parse().unwrap();
            let not_allowed = NOT_ALLOWED;
            let resolver = GuardedResolver {
                permit,
                not_allowed,
            };
            runtime.block_on(resolver.resolve(name))
        };
        assert!(resolve(Permit::Named).unwrap().next().is_some());
        let error = resolve(Permit::Ordinary).err().unwrap().to_string();
        assert!(error.contains(NOT_ALLOWED), "{error}");
    }
}
