// SPDX-License-Identifier: Apache-2.0

/// What an emulated Azure has from its first moment, and how it is reached.
public struct EmulatorOptions: Sendable {
    /// A folder for stores of registries, files of containers and the certificate; made where it is missing.
    public var folder: String
    /// The address to listen on: loopback, as there is nothing here that keeps strangers out.
    public var host = "127.0.0.1"
    /// The port of Entra and the resource manager; 0 for any that is free.
    public var port = 0
    /// Whether TLS is spoken, with a certificate of an authority of the emulator's own.
    public var isEncrypted = true
    /// The directory.
    public var tenant = "11111111-1111-4111-8111-111111111111"
    /// The subscription.
    public var subscription = "22222222-2222-4222-8222-222222222222"
    /// Where resource groups and registries of these options are.
    public var location = "westeurope"
    /// Who can sign in.
    public var applications = [Application()]
    /// Resource groups that are there.
    public var resourceGroups = ["coracle"]
    /// Registries that are there, in the first resource group, with their admin users.
    public var registries: [String] = []
    /// Kubernetes clusters that are there, in the first resource group: `NAME`, or `NAME,entra` for one whose users sign
    /// in at the directory.
    public var clusters: [String] = []
    /// Images of public registries: a name as groups have it, and the OCI layout it comes from, `FOLDER[:TAG]`.
    public var images: [(name: String, layout: String)] = []
    /// A folder with Azure's published schemas, which requests are checked against; `nil` to check only what is
    /// written down here.
    public var specifications: String?
    /// Whether containers share the machine's network, instead of one network for each group.
    public var sharesNetwork = false
    /// The seconds that clients are told to wait between two looks at an operation.
    public var retryAfter = 1
    /// Seconds that an operation of a container group takes at least.
    public var operationSeconds = 0.0
    /// Seconds that tokens of the directory count; real ones have an hour or more.
    public var tokenLifetime: Int64 = 3599
    /// Seconds that access tokens of registries count; real ones have 75 minutes.
    public var registryTokenLifetime: Int64 = 4500
    /// Is told of each request once it is answered; on any thread.
    public var onRequest: (@Sendable (AzureRequestRecord) -> Void)?
    /// Is told what people should know, in sentences; on any thread.
    public var note: @Sendable (String) -> Void = { _ in }

    /// An Azure with one service principal that owns it, one resource group and no registry.
    ///
    /// - Parameter folder: A folder for all that is kept; made where it is missing.
    public init(folder: String) {
        self.folder = folder
    }

    /// An application of the directory, with its service principal.
    public struct Application: Sendable {
        /// The application's number, which clients call client ID.
        public var id = "33333333-3333-4333-8333-333333333333"
        /// The number of its service principal, which role assignments name.
        public var objectID = "44444444-4444-4444-8444-444444444444"
        /// Its name.
        public var name = "coracle-test"
        /// The secrets that are right.
        public var secrets = ["emulated-secret"]
        /// Certificates, PEM files, whose owners may sign assertions.
        public var certificates: [String] = []
        /// Whose tokens are taken in its place.
        public var federations: [Federation] = []
        /// The roles that it has, by name, each at a scope; the subscription where that is empty.
        public var roles: [(role: String, scope: String)] = [("Owner", "")]

        /// The application of ``EmulatorOptions/init(folder:)``.
        public init() {}

        /// A federated credential.
        public struct Federation: Sendable {
            /// `iss` of the token, exactly.
            public var issuer: String
            /// `sub` of the token, exactly.
            public var subject: String
            /// `aud` of the token.
            public var audience: String

            /// Describes a credential.
            ///
            /// - Parameters:
            ///   - issuer: `iss` of the token.
            ///   - subject: `sub` of the token.
            ///   - audience: `aud` of the token.
            public init(issuer: String, subject: String, audience: String = "api://AzureADTokenExchange") {
                (self.issuer, self.subject, self.audience) = (issuer, subject, audience)
            }
        }
    }
}

/// A request as it was answered; without credentials.
public struct AzureRequestRecord: Sendable {
    /// The service: `entra`, `arm`, `identity`, `emulator`, or the name of a registry.
    public var service: String
    /// The method.
    public var method: String
    /// The path with its query, as it was sent.
    public var path: String
    /// The status of the answer.
    public var status: Int
    /// The code of the error; `nil` where there was none.
    public var code: String?
    /// The body, for requests of the resource manager: what clients are judged by.
    ///
    /// Secrets are in it as they were sent.
    public var body: [UInt8] = []
}

/// Why the emulator does not run.
public struct EmulatorError: Error, Sendable, CustomStringConvertible {
    /// What was being done, to what, and what was found: one line, no full stop.
    public let message: String

    /// Creates an error.
    ///
    /// - Parameter message: What was being done, to what, and what was found.
    public init(_ message: String) { self.message = message }

    init(message: String) { self.message = message }

    /// The message.
    public var description: String { message }
}
