// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser
internal import CoracleKit

/// Flags of `docker build` that ask for what is so anyway, or for what is not made here.
struct DockerFlags: ParsableArguments {
    @Flag(help: "Keep the image in the store, which is done anyway.")
    var load = false

    @Flag(help: "Leave no intermediate container behind; there is none.")
    var rm = false

    @Flag(name: .customLong("force-rm"), help: "Leave no intermediate container behind; there is none.")
    var alwaysRemoves = false

    @Option(help: "false: no provenance is attached; there is none, and nothing else is taken.")
    var provenance: String?

    @Option(help: "false: no list of software is attached; there is none, and nothing else is taken.")
    var sbom: String?

    @Option(help: "type=…,disabled=true: no attestation is attached; there is none, and nothing else is taken.")
    var attest: [String] = []

    @Option(
        help: ArgumentHelp(
            "What to do instead of building: check, or targets to list the stages; with ,format=json for programs.",
            valueName: "method"
        )
    )
    var call: String?

    /// What to do instead of building.
    func method(checks: Bool) throws(ExitReason) -> BuildCall {
        try Attestations.check(provenance: provenance, sbom: sbom, attests: attest)
        guard let call else { return checks ? .check(.text) : .build }
        let method = try BuildCall(call)
        if checks, method != .check(.text), method != .check(.json) {
            throw ExitReason(.usage, "--check and --call \(call) are given both")
        }
        return method
    }
}

/// Flags with `=true` and `=false`, which scripts give to docker, as the parser knows flags.
enum BooleanFlags {
    /// The flags of a build that have no value of their own.
    private static let names: Set<String> = [
        "--check", "--force-rm", "--load", "--no-cache", "--offline", "--pull", "--push", "--quiet", "--rm",
    ]

    /// Words of `coracle build`; the last that is said of a flag counts.
    static func plain(_ words: [String]) throws(ExitReason) -> [String] {
        let end = words.firstIndex(of: "--") ?? words.endIndex
        var result: [String] = []
        for word in words[..<end] {
            guard let equals = word.firstIndex(of: "="), names.contains(String(word[..<equals])) else {
                result.append(word)
                continue
            }
            let (name, value) = (String(word[..<equals]), word[word.index(after: equals)...])
            guard let isSet = GoBool.read(value) else {
                throw ExitReason(.usage, "\(name) \"\(value)\" is neither true nor false")
            }
            result.removeAll { $0 == name }
            if isSet { result.append(name) }
        }
        return result + words[end...]
    }
}
