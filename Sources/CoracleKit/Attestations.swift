// SPDX-License-Identifier: Apache-2.0
internal import DockerfileSyntax

/// `--provenance`, `--sbom` and `--attest`: none is made, so only what asks for none is taken.
public enum Attestations {
    /// Looks at the flags.
    ///
    /// - Parameters:
    ///   - provenance: The value of `--provenance`; `nil` where it was not given.
    ///   - sbom: The value of `--sbom`.
    ///   - attests: The values of `--attest`: `type=…` and more fields with commas between.
    /// - Throws: ``ExitReason`` for one that asks for an attestation, or is malformed.
    public static func check(provenance: String?, sbom: String?, attests: [String]) throws(ExitReason) {
        for (flag, value) in [("--provenance", provenance), ("--sbom", sbom)] {
            guard let value, GoBool.read(value) != false else { continue }
            throw refusal("\(flag)=\(value)")
        }
        for text in attests {
            var values: [String: String] = [:]
            for field in CSVFields.read(text) ?? [] {
                let (name, value) = PlanSettings.split(field)
                values[name.lowercased()] = value ?? ""
            }
            guard values["type"]?.isEmpty == false else {
                throw ExitReason(.usage, "--attest \"\(text)\" has no type: type=provenance or type=sbom")
            }
            if let disabled = values["disabled"], GoBool.read(disabled) == nil {
                throw ExitReason(.usage, "--attest \"\(text)\": disabled=\(disabled) is neither true nor false")
            }
            guard values["disabled"].flatMap(GoBool.read) == true else {
                throw refusal("--attest \"\(text)\"")
            }
        }
    }

    private static func refusal(_ flag: String) -> ExitReason {
        ExitReason(
            .usage,
            "\(flag): no attestation is made: the image is one manifest, which everything can pull",
            hint: "leave the flag out, or say false; cosign attest or notation sign adds one to what was pushed"
        )
    }
}

/// Booleans in the words of Go's `strconv.ParseBool`, as the flags of docker take them.
public enum GoBool {
    /// Reads a boolean.
    ///
    /// - Parameter text: For example `true`, `T` or `1`.
    /// - Returns: What it says; `nil` where it is none of these words.
    public static func read(_ text: some StringProtocol) -> Bool? {
        switch String(text) {
        case "1", "t", "T", "true", "TRUE", "True": true
        case "0", "f", "F", "false", "FALSE", "False": false
        default: nil
        }
    }
}
