// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser
internal import CoracleKit

/// `coracle login`.
struct LoginCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "login",
        abstract: "Log in to a registry, and keep the password where docker does.",
        discussion: """
            The password goes to the credential helper that ~/.docker/config.json names, else into that file. \
            REGISTRY_AUTH_FILE and DOCKER_CONFIG name others.

            At registries of Azure (NAME.azurecr.io), an Azure identity does without a name and a password, which nobody \
            has to log in with before push, pull or build either:

              coracle login NAME.azurecr.io                            the first identity that there is
              coracle login --azure cli NAME.azurecr.io                who is logged in with az
              coracle login --azure service-principal NAME.azurecr.io  AZURE_CLIENT_ID, AZURE_TENANT_ID, and \
            AZURE_CLIENT_SECRET or AZURE_CLIENT_CERTIFICATE_PATH
              coracle login --azure federated NAME.azurecr.io          GitHub Actions, Azure Pipelines, a token file
              coracle login --azure managed-identity NAME.azurecr.io   what Azure gave to this machine
              coracle login --azure admin NAME.azurecr.io              the admin user, read from Azure
              coracle login -u NAME --password-stdin NAME.azurecr.io   admin user, service principal's client id and \
            secret, token of a repository, or 00000000-0000-0000-0000-000000000000 and a refresh token
            """
    )

    @OptionGroup var registry: RegistryFlags

    @Option(name: .shortAndLong, help: "The password; other users of this machine can see it: use --password-stdin.")
    var password: String?

    @Argument(help: "The registry: HOST[:PORT]; docker.io by default.")
    var host = ""

    mutating func run() async throws {
        var access = try registry.access
        if let password {
            guard access.password == nil else {
                throw ExitReason(.usage, "--password and --password-stdin are given both")
            }
            Output.note("warning: --password shows the password to every user of this machine: use --password-stdin")
            access.password = password
        }
        if access.user == nil, password == nil, access.password == nil {
            var login = RegistryLogin(environment: Environment.all) { Output.note($0) }
            login.access = access
            if let line = try await login.loginWithIdentity(host) { return try Output.result(line + "\n") }
        }
        if Prompt.isPossible, access.user == nil { access.user = Prompt.line("Username: ") }
        if Prompt.isPossible, access.user != nil, access.password == nil {
            access.password = Prompt.secret("Password: ")
        }
        var login = RegistryLogin(environment: Environment.all) { Output.note($0) }
        login.access = access
        try Output.result(await login.login(host) + "\n")
    }
}

/// `coracle logout`.
struct LogoutCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "logout",
        abstract: "Forget the password of a registry, in every file and helper that has it."
    )

    @Argument(help: "The registry: HOST[:PORT]; docker.io by default.")
    var host = ""

    mutating func run() async throws {
        try Output.result(await RegistryLogin(environment: Environment.all) { Output.note($0) }.logout(host) + "\n")
    }
}
