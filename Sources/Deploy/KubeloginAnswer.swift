// SPDX-License-Identifier: Apache-2.0
public import Azure
public import Kubernetes

/// Answers in place of `kubelogin`: with our own identity, whichever way the kubeconfig would have people log in.
///
/// Kubeconfigs of Azure name `kubelogin` with `devicecode` by default, which suits nobody's pipeline; the token that it
/// would get is Entra's for the cluster's server application, and we can ask for that as who we are.
public struct KubeloginAnswer: Sendable {
    private let tokens: AzureTokens
    private let note: @Sendable (String) -> Void

    /// Azure Kubernetes Service, as Entra ID knows it; the same in every cloud.
    public static let server = "6dae42f8-4368-4678-94ff-3960e28e3630"

    /// Answers as an identity.
    ///
    /// - Parameters:
    ///   - tokens: Keeps the identity's tokens.
    ///   - note: Is told why it does not answer.
    public init(_ tokens: AzureTokens, note: @escaping @Sendable (String) -> Void = { _ in }) {
        (self.tokens, self.note) = (tokens, note)
    }

    /// A credential in place of what the program would give.
    ///
    /// - Parameter plugin: The program.
    /// - Returns: The credential; `nil` where it is another program, or there is no identity here.
    /// - Throws: `AzureError` where there is one, and Entra ID does not accept it.
    public func credential(_ plugin: ExecPlugin) async throws -> ExecCredential? {
        guard ["kubelogin", "kubelogin.exe"].contains(plugin.name), plugin.arguments.first == "get-token" else {
            return nil
        }
        let server = KubeloginAnswer.value(of: "--server-id", in: plugin.arguments) ?? KubeloginAnswer.server
        do {
            let token = try await tokens.token(for: server)
            return ExecCredential(token: token.value, expires: token.expires)
        } catch let error as AzureError where error.kind == .unavailable {
            note("no Azure identity here (\(error.message)): kubelogin is asked")
            return nil
        }
    }

    /// `--name VALUE`, or `--name=VALUE`.
    private static func value(of name: String, in arguments: [String]) -> String? {
        for (index, argument) in arguments.enumerated() {
            if argument == name, index + 1 < arguments.count { return arguments[index + 1] }
            if argument.hasPrefix(name + "=") { return String(argument.dropFirst(name.count + 1)) }
        }
        return nil
    }
}
