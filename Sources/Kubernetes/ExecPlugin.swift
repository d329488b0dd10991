// SPDX-License-Identifier: Apache-2.0
public import OCI

/// A program that a kubeconfig names to be asked for credentials, as `kubelogin` is.
///
/// Specification: `client.authentication.k8s.io/v1` and `v1beta1`.
public struct ExecPlugin: Hashable, Sendable {
    /// The program: a name to be looked up in `PATH`, or a path.
    public var command: String
    /// What it is told.
    public var arguments: [String]
    /// Variables that are added to the environment.
    public var environment: [String: String]
    /// The version of the protocol: `client.authentication.k8s.io/v1beta1`.
    public var apiVersion: String
    /// What to say where there is no such program; `nil` where the kubeconfig says nothing.
    public var installHint: String?
    /// Whether it needs somebody to talk to: `Never`, `IfAvailable`, `Always`.
    public var interaction: String
    /// Whether it is told about the cluster.
    public var wantsCluster: Bool

    /// Names a program.
    ///
    /// - Parameters:
    ///   - command: The program.
    ///   - arguments: What it is told.
    public init(_ command: String, _ arguments: [String] = []) {
        (self.command, self.arguments, environment) = (command, arguments, [:])
        (apiVersion, interaction, wantsCluster) = ("client.authentication.k8s.io/v1", "IfAvailable", false)
    }

    /// The program's name without its path.
    public var name: String { command.split(separator: "/").last.map { String($0) } ?? command }
}

/// What an ``ExecPlugin`` gives: a token, a certificate, or both.
public struct ExecCredential: Hashable, Sendable {
    /// A bearer token; `nil` where there is none.
    public let token: String?
    /// A certificate and its key, PEM; `nil` where there is none.
    public let certificate: Certificate?
    /// When it ends, in seconds since 1970; `nil` where it does not say.
    public let expires: Int64?

    /// A certificate and its key.
    public struct Certificate: Hashable, Sendable {
        /// The certificate and its chain, PEM.
        public let certificate: [UInt8]
        /// The private key, PEM.
        public let key: [UInt8]
    }

    /// A token.
    ///
    /// - Parameters:
    ///   - token: The token.
    ///   - expires: When it ends, in seconds since 1970.
    public init(token: String, expires: Int64?) { (self.token, certificate, self.expires) = (token, nil, expires) }

    init(token: String?, certificate: Certificate?, expires: Int64?) {
        (self.token, self.certificate, self.expires) = (token, certificate, expires)
    }
}

/// Answers in place of a program where it can; gives `nil` where the program is to be run.
public typealias PluginAnswer = @Sendable (ExecPlugin) async throws -> ExecCredential?
