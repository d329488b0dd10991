// SPDX-License-Identifier: Apache-2.0
#ifndef CLINUX_NETWORK_H
#define CLINUX_NETWORK_H

/// Lays a cable (a pair of veth interfaces) from the calling thread's network to another one.
///
/// `other` is a descriptor of the other network (`/proc/PID/ns/net`). Both names have at most 15 bytes, each must be
/// free in its network, and both ends are down until `clinux_raise_cable`. Returns 0 or the error's number.
int clinux_lay_cable(const char *name, int other, const char *other_name);

/// Takes an end of a cable, in the calling thread's network, into use.
///
/// `address` is what the end is called, or NULL for nothing; `range` (dotted numbers) and the length of its prefix are
/// what is reached at the other end. Addresses of 127.0.0.0/8 are addresses like others on this cable, and `range` comes
/// before what loopback has of them. Returns 0 or the error's number.
int clinux_raise_cable(const char *name, const char *address, const char *range, int length);

#endif
