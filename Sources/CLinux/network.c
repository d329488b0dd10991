// SPDX-License-Identifier: Apache-2.0
// Interfaces, addresses and routes, asked of the kernel as rtnetlink(7) says.
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_link.h>
#include <linux/ip.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "CLinuxNetwork.h"

/// A request under construction; what is asked here is far shorter.
struct request {
    _Alignas(struct nlmsghdr) char bytes[512];
};

static struct nlmsghdr *header(struct request *request) { return (struct nlmsghdr *)request->bytes; }

/// Adds bytes at the end, which stays aligned as netlink has it.
static void *add(struct request *request, const void *bytes, size_t size) {
    void *place = request->bytes + NLMSG_ALIGN(header(request)->nlmsg_len);
    if (bytes != NULL) memcpy(place, bytes, size);
    header(request)->nlmsg_len = (unsigned)(NLMSG_ALIGN(header(request)->nlmsg_len) + size);
    return place;
}

static struct rtattr *add_attribute(struct request *request, int type, const void *bytes, size_t size) {
    struct rtattr attribute = {.rta_len = (unsigned short)RTA_LENGTH(size), .rta_type = (unsigned short)type};
    struct rtattr *place = add(request, &attribute, sizeof attribute);
    if (size > 0) add(request, bytes, size);
    return place;
}

static void end_attribute(struct request *request, struct rtattr *attribute) {
    char *end = request->bytes + NLMSG_ALIGN(header(request)->nlmsg_len);
    attribute->rta_len = (unsigned short)(end - (char *)attribute);
}

static void begin(struct request *request, int type, int flags, const void *body, size_t size) {
    memset(request, 0, sizeof *request);
    header(request)->nlmsg_len = NLMSG_HDRLEN;
    header(request)->nlmsg_type = (unsigned short)type;
    header(request)->nlmsg_flags = (unsigned short)(NLM_F_REQUEST | NLM_F_ACK | flags);
    add(request, body, size);
}

/// Asks, and waits for the kernel's word; 0 or the error's number.
static int ask(struct request *request) {
    int end = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    if (end < 0) return errno;
    struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
    int error = 0;
    _Alignas(struct nlmsghdr) char answer[1024];
    ssize_t size = sendto(end, request->bytes, header(request)->nlmsg_len, 0, (void *)&kernel, sizeof kernel);
    if (size >= 0) {
        do {
            size = recv(end, answer, sizeof answer, 0);
        } while (size < 0 && errno == EINTR);
    }
    if (size < 0) {
        error = errno;
    } else {
        struct nlmsghdr *reply = (struct nlmsghdr *)answer;
        if (!NLMSG_OK(reply, (unsigned)size) || reply->nlmsg_type != NLMSG_ERROR) {
            error = EPROTO;
        } else {
            error = -((struct nlmsgerr *)NLMSG_DATA(reply))->error;
        }
    }
    close(end);
    return error;
}

int clinux_lay_cable(const char *name, int other, const char *other_name) {
    if (strlen(name) >= IFNAMSIZ || strlen(other_name) >= IFNAMSIZ) return ENAMETOOLONG;
    struct request request;
    struct ifinfomsg link = {.ifi_family = AF_UNSPEC};
    begin(&request, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &link, sizeof link);
    add_attribute(&request, IFLA_IFNAME, name, strlen(name) + 1);
    struct rtattr *info = add_attribute(&request, IFLA_LINKINFO, NULL, 0);
    add_attribute(&request, IFLA_INFO_KIND, "veth", 4);
    struct rtattr *data = add_attribute(&request, IFLA_INFO_DATA, NULL, 0);
    struct rtattr *peer = add_attribute(&request, VETH_INFO_PEER, NULL, 0);
    add(&request, &link, sizeof link);
    add_attribute(&request, IFLA_IFNAME, other_name, strlen(other_name) + 1);
    add_attribute(&request, IFLA_NET_NS_FD, &other, sizeof other);
    end_attribute(&request, peer);
    end_attribute(&request, data);
    end_attribute(&request, info);
    return ask(&request);
}

/// Brings an interface up, with addresses of 127.0.0.0/8 let through.
static int raise_link(int index) {
    struct request request;
    struct ifinfomsg link = {.ifi_family = AF_UNSPEC, .ifi_index = index, .ifi_flags = IFF_UP, .ifi_change = IFF_UP};
    begin(&request, RTM_SETLINK, 0, &link, sizeof link);
    // As in /proc/sys/net/ipv4/conf/NAME/route_localnet, which may be read-only here.
    unsigned on = 1;
    struct rtattr *all = add_attribute(&request, IFLA_AF_SPEC, NULL, 0);
    struct rtattr *family = add_attribute(&request, AF_INET, NULL, 0);
    struct rtattr *settings = add_attribute(&request, IFLA_INET_CONF, NULL, 0);
    add_attribute(&request, IPV4_DEVCONF_ROUTE_LOCALNET, &on, sizeof on);
    end_attribute(&request, settings);
    end_attribute(&request, family);
    end_attribute(&request, all);
    return ask(&request);
}

int clinux_raise_cable(const char *name, const char *address, const char *range, int length) {
    struct in_addr own, reached;
    if (address != NULL && inet_pton(AF_INET, address, &own) != 1) return EINVAL;
    if (inet_pton(AF_INET, range, &reached) != 1 || length < 0 || length > 32) return EINVAL;
    int index = (int)if_nametoindex(name);
    if (index == 0) return errno;
    int error = raise_link(index);
    if (error != 0) return error;
    struct request request;
    if (address != NULL) {
        struct ifaddrmsg body = {.ifa_family = AF_INET, .ifa_prefixlen = 32, .ifa_index = (unsigned)index};
        begin(&request, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, &body, sizeof body);
        add_attribute(&request, IFA_LOCAL, &own, sizeof own);
        add_attribute(&request, IFA_ADDRESS, &own, sizeof own);
        error = ask(&request);
        if (error != 0) return error;
    }
    struct rtmsg route = {
        .rtm_family = AF_INET,
        .rtm_dst_len = (unsigned char)length,
        // The table that is asked first: there, the longer prefix wins over loopback's.
        .rtm_table = RT_TABLE_LOCAL,
        .rtm_protocol = RTPROT_STATIC,
        .rtm_scope = RT_SCOPE_LINK,
        .rtm_type = RTN_UNICAST,
    };
    begin(&request, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, &route, sizeof route);
    add_attribute(&request, RTA_DST, &reached, sizeof reached);
    add_attribute(&request, RTA_OIF, &index, sizeof index);
    return ask(&request);
}
