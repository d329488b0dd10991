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

            At registries of Azure an Azure identity does without name and password; push, pull and build use it without \
            a login too. The kinds of --azure:

              auto               the first of the next four that there is
              service-principal  AZURE_CLIENT_ID, AZURE_TENANT_ID, and
                                 AZURE_CLIENT_SECRET or
                                 AZURE_CLIENT_CERTIFICATE_PATH
              federated          GitHub Actions, Azure Pipelines, a token file
              managed-identity   what Azure gave to this machine
              cli                who is logged in with az
              admin              the registry's admin user, read from Azure
              none               no Azure identity

            --username takes what else Azure's registries know: the admin user, a service principal's client id, a token \
            of a repository, or 00000000-0000-0000-0000-000000000000 with a refresh token.
            """
    )

    @OptionGroup var registry: RegistryFlags
    @OptionGroup(title: "Azure") var azure: AzureFlags

    @Option(name: .shortAndLong, help: "The password; other users of this machine can see it: use --password-stdin.")
    var password: String?

    @Argument(help: "The registry: HOST[:PORT]; docker.io by default.")
    var host = ""

    mutating func run() async throws {
        var access = try registry.access(azure)
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
