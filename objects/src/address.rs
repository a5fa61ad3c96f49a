//! Which addresses belong to the network at large. A job that names a URL must not
//! reach what only this machine can: its own services, its neighbours, and the service
//! beside a cloud machine that gives out its credentials.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// How far the operator trusts the host of a URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trust {
    /// Not named: only addresses of the network at large.
    Public,
    /// Named by an allowed prefix: addresses of private networks too, but none that a
    /// name never stands for with good intent: link-local ones, where clouds keep credentials.
    Named,
    /// Everything: the jobs are the user's own.
    Whole,
}

impl Trust {
    /// Whether `ip` may be spoken to; a literal address in an allowed prefix is not asked about.
    pub(crate) fn allows(self, ip: IpAddr) -> bool {
        match self {
            Self::Public => is_public(ip),
            Self::Named => !is_link_local(ip),
            Self::Whole => true,
        }
    }
}

/// Whether an address is reachable from everywhere, and so no secret of this network's.
pub(crate) fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_public_v4(ip),
        IpAddr::V6(ip) => is_public_v6(ip),
    }
}

fn is_public_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    let reserved = a == 0
        || a >= 240
        || (a == 100 && b & 0xc0 == 64)
        || (a == 192 && b == 0 && c == 0)
        || (a == 192 && b == 88 && c == 99)
        || (a == 198 && b & 0xfe == 18);
    !reserved
        && !ip.is_private()
        && !ip.is_loopback()
        && !ip.is_link_local()
        && !ip.is_documentation()
        && !ip.is_multicast()
}

fn is_public_v6(ip: Ipv6Addr) -> bool {
    if let Some(inner) = v4_within(ip) {
        return is_public_v4(inner);
    }
    // All that is given out lies in 2000::/3.
    let [first, second, ..] = ip.segments();
    let documentation = (first == 0x2001 && second == 0x0db8) || first == 0x3fff;
    // Teredo and others of 2001::/23: tunnels, none of which leads to a server.
    let special = first == 0x2001 && second < 0x0200;
    first & 0xe000 == 0x2000 && !documentation && !special
}

/// The IPv4 address that an IPv6 address stands for: mapped, translated (NAT64), or 6to4.
fn v4_within(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    let [a, b, c, d, e, f, g, h] = ip.segments();
    let of = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        Ipv4Addr::new(a, b, c, d)
    };
    match (a, b, c, d, e, f) {
        (0, 0, 0, 0, 0, 0xffff) | (0x64, 0xff9b, 0, 0, 0, 0) => Some(of(g, h)),
        (0x2002, ..) => Some(of(b, c)),
        _ => None,
    }
}

/// Whether an address is of one link only, or the one at which a cloud gives out credentials over IPv6.
fn is_link_local(ip: IpAddr) -> bool {
    const METADATA: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);
    match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => match v4_within(ip) {
            Some(inner) => inner.is_link_local(),
            None => ip.segments()[0] & 0xffc0 == 0xfe80 || ip == METADATA,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn what_only_this_machine_or_its_network_can_reach_is_not_public() {
        for inner in [
            "127.0.0.1",
            "127.8.9.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "224.0.0.1",
            "255.255.255.255",
            "198.18.0.1",
            "192.0.2.1",
            "::",
            "::1",
            "fe80::1",
            "fc00::1",
            "fd00:ec2::254",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::a00:1",
            "2002:7f00:1::",
            "2001:db8::1",
            "2001::1",
        ] {
            assert!(!is_public(ip(inner)), "{inner}");
            assert!(!Trust::Public.allows(ip(inner)), "{inner}");
        }
    }

    #[test]
    fn servers_of_the_world_are_public() {
        for outer in ["93.184.216.34", "8.8.8.8", "2606:4700::1111", "2a00::1"] {
            assert!(is_public(ip(outer)), "{outer}");
        }
    }

    #[test]
    fn a_name_that_the_operator_trusts_may_be_private_but_not_where_credentials_are() {
        for private in ["10.0.0.7", "127.0.0.1", "fd12::1"] {
            assert!(Trust::Named.allows(ip(private)), "{private}");
        }
        for metadata in ["169.254.169.254", "fd00:ec2::254", "::ffff:169.254.169.254"] {
            assert!(!Trust::Named.allows(ip(metadata)), "{metadata}");
            assert!(Trust::Whole.allows(ip(metadata)), "{metadata}");
        }
    }
}
