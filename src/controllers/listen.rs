//! Where the operator listens: for both families of addresses where the machine has them.

use rustix::io::Errno;
use rustix::net::sockopt::set_ipv6_v6only;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use tokio::net::{TcpListener, TcpSocket};

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 1024;

/// Listens on an address. `[::]` stands for all addresses of both families, and for those of IPv4 on a machine without IPv6.
pub(super) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    bind(address).or_else(|error| match instead(address, &error) {
        Some(other) => bind(other),
        None => Err(error),
    })
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    if address.ip() == Ipv6Addr::UNSPECIFIED {
        // A machine may be set up so that such a socket takes IPv6 alone unless it says otherwise.
        set_ipv6_v6only(&socket, false)?;
    }
    // As in `TcpListener::bind`: an operator that is started again must not wait for connections of the one before.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// The address to listen on where this one cannot be had because the machine has no IPv6.
fn instead(address: SocketAddr, error: &io::Error) -> Option<SocketAddr> {
    let has_no_such_family = matches!(
        Errno::from_io_error(error),
        Some(Errno::AFNOSUPPORT | Errno::ADDRNOTAVAIL)
    );
    let is_any = address.ip() == Ipv6Addr::UNSPECIFIED;
    (is_any && has_no_such_family).then(|| (Ipv4Addr::UNSPECIFIED, address.port()).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpStream;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn only_any_address_of_a_missing_family_is_replaced() {
        let error = |number: Errno| io::Error::from(number);
        let missing = error(Errno::AFNOSUPPORT);
        assert_eq!(
            instead(address("[::]:80"), &missing),
            Some(address("0.0.0.0:80"))
        );
        let unavailable = error(Errno::ADDRNOTAVAIL);
        assert_eq!(
            instead(address("[::]:80"), &unavailable),
            Some(address("0.0.0.0:80"))
        );
        assert_eq!(instead(address("[::1]:80"), &missing), None);
        assert_eq!(instead(address("0.0.0.0:80"), &missing), None);
        assert_eq!(
            instead(address("[::]:80"), &error(Errno::ADDRINUSE)),
            None,
            "another program has it"
        );
    }

    #[test]
    fn any_address_takes_connections_of_both_families() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let listener = listen(address("[::]:0")).unwrap();
            let port = listener.local_addr().unwrap().port();
            let connect = |text: &str| TcpStream::connect(format!("{text}:{port}"));
            assert!(connect("127.0.0.1").is_ok());
            let has_ipv6 = std::net::TcpListener::bind("[::1]:0").is_ok();
            assert_eq!(connect("[::1]").is_ok(), has_ipv6);
        });
    }
}
