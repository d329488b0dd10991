// SPDX-License-Identifier: Apache-2.0
internal import CLinux
internal import Glibc

/// Names of limits, as Docker's `--ulimit` has them.
enum ResourceLimit {
    /// Numbers by name, as `asm-generic/resource.h` has them.
    static let numbers: [String: Int32] = [
        "cpu": 0, "fsize": 1, "data": 2, "stack": 3, "core": 4, "rss": 5, "nproc": 6, "nofile": 7, "memlock": 8,
        "as": 9,
        "locks": 10, "sigpending": 11, "msgqueue": 12, "nice": 13, "rtprio": 14, "rttime": 15,
    ]

    static func value(of limit: ProcessSpec.Limit) throws -> clinux_limit {
        guard let number = numbers[limit.name] else {
            let known = numbers.keys.sorted().joined(separator: ", ")
            throw SandboxError(.specification, "there is no limit \"\(limit.name)\"", hint: "one of \(known)")
        }
        guard limit.soft <= limit.hard else {
            throw SandboxError(.specification, "the limit \(limit.name): \(limit.soft) is more than \(limit.hard)")
        }
        return clinux_limit(resource: number, soft: limit.soft, hard: limit.hard)
    }
}
