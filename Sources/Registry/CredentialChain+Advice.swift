// SPDX-License-Identifier: Apache-2.0

extension CredentialChain {
    /// Where credentials that were refused came from, where `coracle login` would not change them.
    ///
    /// - Parameter access: What they were not let do, and with which credentials.
    /// - Returns: The variables to look at; `nil` where they did not come from the environment.
    public func advice(on access: MissingAccess) async -> CredentialAdvice? {
        let host = RegistryHost(access.registry)
        guard login == nil, access.credentials != .anonymous, (try? variables(host)) == access.credentials else {
            return nil
        }
        let suffix = CredentialChain.variable(host)
        let name: String
        switch access.credentials {
        case .registryToken: name = "CORACLE_REGISTRY_TOKEN_\(suffix)"
        default: name = "CORACLE_REGISTRY_USER_\(suffix) and CORACLE_REGISTRY_PASSWORD_\(suffix)"
        }
        return CredentialAdvice(
            hint: "they are from \(name), which come before what coracle login keeps: set what is right, or unset them"
        )
    }
}
