// SPDX-License-Identifier: Apache-2.0

/// All keys of the specification, with what their values may be.
///
/// Specification: compose-spec, `schema/compose-spec.json` and the texts beside it.
enum ComposeSchema {
    static let file: ComposeShape = .map([
        "version": .text, "name": .text,
        "include": .list(
            .textOr(
                .map(["path": .oneOrMore(.text), "project_directory": .text, "env_file": .oneOrMore(.text)])
            )
        ),
        "services": .optional(.names(.optional(service))), "networks": .optional(.names(.optional(network))),
        "volumes": .optional(.names(.optional(volume))),
        "configs": .optional(.names(config)), "secrets": .optional(.names(secret)),
        "models": .names(
            .map(["name": .text, "model": .text, "context_size": .number, "runtime_flags": .list(.text)])
        ),
    ])

    /// A service.
    static let service: ComposeShape = .map(serviceKeys)

    static let serviceKeys: [String: ComposeShape] = [
        "annotations": .pairs, "attach": .flag, "build": .textOr(build), "blkio_config": .map(blockDevices),
        "cap_add": .list(.text), "cap_drop": .list(.text), "cgroup": .word(["host", "private"]),
        "cgroup_parent": .text, "command": .optional(.oneOrMore(.text)), "configs": .list(.textOr(grant)),
        "container_name": .text, "cpu_count": .number, "cpu_percent": .number, "cpu_period": .number,
        "cpu_quota": .number, "cpu_rt_period": .number, "cpu_rt_runtime": .number, "cpu_shares": .number,
        "cpus": .number, "cpuset": .text,
        "credential_spec": .map(["config": .text, "file": .text, "registry": .text]),
        "depends_on": .listOr(.names(dependency)), "deploy": .optional(deploy),
        "develop": .any, "device_cgroup_rules": .list(.text),
        "devices": .list(.textOr(.map(["source": .text, "target": .text, "permissions": .text]))),
        "dns": .oneOrMore(.text), "dns_opt": .list(.text), "dns_search": .oneOrMore(.text), "domainname": .text,
        "entrypoint": .optional(.oneOrMore(.text)),
        "env_file": .oneOrMore(.textOr(.map(["path": .text, "format": .word(["raw"]), "required": .flag]))),
        "environment": .pairs, "expose": .list(.text),
        "extends": .textOr(.map(["service": .text, "file": .text])), "external_links": .list(.text),
        "extra_hosts": .listOr(.names(.oneOrMore(.text))), "gpus": .any, "group_add": .list(.text),
        "healthcheck": .map(health), "hostname": .text, "image": .text, "init": .flag, "ipc": .text,
        "isolation": .text, "label_file": .oneOrMore(.text), "labels": .pairs, "links": .list(.text),
        "logging": .map(["driver": .text, "options": .names(.any)]), "mac_address": .text, "mem_limit": .number,
        "mem_reservation": .number, "mem_swappiness": .number, "memswap_limit": .number, "models": .any,
        "network_mode": .text, "networks": .listOr(.names(.optional(.map(attachment)))), "oom_kill_disable": .flag,
        "oom_score_adj": .number, "pid": .optional(.text), "pids_limit": .number, "platform": .text,
        "ports": .list(.textOr(.map(port))), "post_start": .list(hook), "pre_start": .list(hook),
        "pre_stop": .list(hook), "privileged": .flag, "profiles": .list(.text),
        "provider": .map(["type": .text, "options": .any]), "pull_policy": .text, "pull_refresh_after": .text,
        "read_only": .flag, "restart": .text, "runtime": .text, "scale": .number, "secrets": .list(.textOr(grant)),
        "security_opt": .list(.text), "shm_size": .number, "stdin_open": .flag, "stop_grace_period": .text,
        "stop_signal": .text, "storage_opt": .names(.any), "sysctls": .pairs, "tmpfs": .oneOrMore(.text), "tty": .flag,
        "ulimits": .names(.textOr(.map(["soft": .number, "hard": .number]))), "use_api_socket": .flag, "user": .text,
        "userns_mode": .text, "uts": .text, "volumes": .list(.textOr(.map(mount))), "volumes_from": .list(.text),
        "working_dir": .text,
    ]

    private static let build: ComposeShape = .map([
        "additional_contexts": .pairs, "args": .pairs, "cache_from": .list(.text), "cache_to": .list(.text),
        "context": .text, "dockerfile": .text, "dockerfile_inline": .text, "entitlements": .list(.text),
        "extra_hosts": .listOr(.names(.oneOrMore(.text))), "isolation": .text, "labels": .pairs, "network": .text,
        "no_cache": .flag, "platforms": .list(.text), "privileged": .flag, "provenance": .any, "pull": .flag,
        "sbom": .any, "secrets": .list(.textOr(grant)), "shm_size": .number, "ssh": .textOr(.pairs),
        "tags": .list(.text), "target": .text,
        "ulimits": .names(.textOr(.map(["soft": .number, "hard": .number]))),
    ])

    private static let blockDevices: [String: ComposeShape] = [
        "device_read_bps": .any, "device_read_iops": .any, "device_write_bps": .any, "device_write_iops": .any,
        "weight": .number, "weight_device": .any,
    ]

    private static let grant: ComposeShape = .map([
        "source": .text, "target": .text, "uid": .text, "gid": .text, "mode": .number,
    ])

    private static let dependency: ComposeShape = .map([
        "condition": .word(["service_started", "service_healthy", "service_completed_successfully"]),
        "required": .flag, "restart": .flag,
    ])

    private static let deploy: ComposeShape = .map([
        "endpoint_mode": .text, "labels": .pairs, "mode": .text,
        "placement": .map(["constraints": .list(.text), "max_replicas_per_node": .number, "preferences": .any]),
        "replicas": .number,
        "resources": .map([
            "limits": .map(["cpus": .number, "memory": .number, "pids": .number]),
            "reservations": .map([
                "cpus": .number, "memory": .number, "devices": .any, "generic_resources": .any,
            ]),
        ]),
        "restart_policy": .map([
            "condition": .word(["none", "on-failure", "any"]), "delay": .text, "max_attempts": .number,
            "window": .text,
        ]),
        "rollback_config": .map(update), "update_config": .map(update),
    ])

    private static let update: [String: ComposeShape] = [
        "delay": .text, "failure_action": .text, "max_failure_ratio": .number, "monitor": .text,
        "order": .word(["start-first", "stop-first"]), "parallelism": .number,
    ]

    private static let health: [String: ComposeShape] = [
        "disable": .flag, "interval": .text, "retries": .number, "start_interval": .text, "start_period": .text,
        "test": .oneOrMore(.text), "timeout": .text,
    ]

    private static let port: [String: ComposeShape] = [
        "app_protocol": .text, "host_ip": .text, "mode": .word(["host", "ingress"]), "name": .text,
        "protocol": .text, "published": .text, "target": .number,
    ]

    private static let hook: ComposeShape = .map([
        "command": .oneOrMore(.text), "environment": .pairs, "image": .text, "per_replica": .flag,
        "privileged": .flag, "user": .text, "working_dir": .text,
    ])

    private static let mount: [String: ComposeShape] = [
        "bind": .map(["create_host_path": .flag, "propagation": .text, "recursive": .text, "selinux": .text]),
        "consistency": .text, "image": .map(["subpath": .text]), "read_only": .flag, "source": .text, "target": .text,
        "tmpfs": .map(["mode": .number, "size": .number]),
        "type": .word(["bind", "cluster", "image", "npipe", "tmpfs", "volume"]),
        "volume": .map(["labels": .pairs, "nocopy": .flag, "subpath": .text]),
    ]

    private static let attachment: [String: ComposeShape] = [
        "aliases": .list(.text), "driver_opts": .any, "gw_priority": .number, "interface_name": .text,
        "ipv4_address": .text, "ipv6_address": .text, "link_local_ips": .list(.text), "mac_address": .text,
        "priority": .number,
    ]

    private static let network: ComposeShape = .map([
        "attachable": .flag, "driver": .text, "driver_opts": .any, "enable_ipv4": .flag, "enable_ipv6": .flag,
        "external": .any, "internal": .flag, "ipam": .any, "labels": .pairs, "name": .text,
    ])

    private static let volume: ComposeShape = .map([
        "driver": .text, "driver_opts": .names(.text), "external": external, "labels": .pairs, "name": .text,
    ])

    private static let external: ComposeShape = .any

    private static let config: ComposeShape = .map([
        "content": .text, "environment": .text, "external": external, "file": .text, "labels": .pairs, "name": .text,
        "template_driver": .text,
    ])

    private static let secret: ComposeShape = .map([
        "driver": .text, "driver_opts": .names(.text), "environment": .text, "external": external, "file": .text,
        "labels": .pairs, "name": .text, "template_driver": .text,
    ])
}
