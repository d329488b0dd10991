// SPDX-License-Identifier: Apache-2.0

/// What can be wrong with credentials on this machine, in words; no secret is ever in them.
enum CredentialFault {
    private static let others =
        "CORACLE_REGISTRY_USER_<HOST> with CORACLE_REGISTRY_PASSWORD_<HOST>, and --username "
        + "with --password-stdin, work without it"

    /// A file that cannot be read or understood.
    static func file(_ message: String) -> RegistryError {
        RegistryError(.auth, message, hint: "mend the file or move it away; \(others)")
    }

    /// A file that cannot be written.
    static func write(_ message: String) -> RegistryError {
        RegistryError(
            .auth,
            "keeping credentials: \(message)",
            hint: "name another folder with DOCKER_CONFIG; \(others)"
        )
    }

    /// A helper that is not there, or does not do what it should.
    static func helper(
        _ message: String,
        _ helper: CredentialHelper,
        _ host: RegistryHost? = nil,
        isAbsent: Bool = false
    ) -> RegistryError {
        RegistryError(.auth, message, hint: helper.advice(host, isAbsent: isAbsent))
    }

    /// One variable of two.
    static func variable(set: String, _ suffix: String) -> RegistryError {
        let missing = set == "USER" ? "PASSWORD" : "USER"
        return RegistryError(
            .auth,
            "CORACLE_REGISTRY_\(set)_\(suffix) is set, and CORACLE_REGISTRY_\(missing)_\(suffix) is not",
            hint: "set both, or CORACLE_REGISTRY_TOKEN_\(suffix) alone"
        )
    }

    /// Nowhere to write to.
    static var noPlace: RegistryError {
        RegistryError(.auth, "there is no place for credentials: HOME is not set", hint: "set DOCKER_CONFIG")
    }
}
