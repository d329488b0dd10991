// SPDX-License-Identifier: Apache-2.0
import Foundation
import HTTP
import RegistryServer
import Store
import Synchronization
import TestSupport
import Testing

@testable import Registry

/// Where credentials are found and kept, with real files and real helper programs.
@Suite(.inTurns) struct CredentialTests {
    let folder: TemporaryFolder
    let home: String

    init() throws {
        folder = try TemporaryFolder()
        home = folder.url.path
    }

    private func auth(_ user: String, _ password: String) -> String {
        Data("\(user):\(password)".utf8).base64EncodedString()
    }

    private func config(_ text: String) throws { try folder.write(".docker/config.json", text) }

    /// A helper that keeps what it is told in files, and writes down what it was called with.
    private func helper(_ name: String, _ script: String? = nil) throws {
        let store = """
            #!/bin/sh
            echo "$# $*" >> "$HOME/calls"
            env | grep -c CORACLE_REGISTRY >> "$HOME/leaked"
            ls /proc/self/fd >> "$HOME/open"
            case "$1" in
            store) cat > "$HOME/kept" ;;
            get) read -r host
                if [ -f "$HOME/kept" ]; then cat "$HOME/kept"
                else echo "credentials not found in native keychain"; exit 1; fi ;;
            erase) cat > /dev/null; rm -f "$HOME/kept" ;;
            list) echo '{"a.example":"ada"}' ;;
            esac
            """
        try Program.install(script ?? store, at: folder.url.appending(path: "bin/docker-credential-\(name)"))
    }

    private func chain(_ variables: [String: String] = [:], login: CredentialChain.Login? = nil) -> CredentialChain {
        let path = "\(home)/bin:/usr/bin:/bin"
        return CredentialChain(environment: ["HOME": home, "PATH": path].merging(variables) { $1 }, login: login)
    }

    private func find(
        _ host: String,
        _ repository: String? = nil,
        _ variables: [String: String] = [:]
    ) async throws -> Credentials? {
        try await chain(variables).find(RegistryHost(host), repository: repository)
    }

    // MARK: Files

    @Test func dockerHubHasManyNamesAndOneEntry() async throws {
        for key in ["https://index.docker.io/v1/", "index.docker.io", "docker.io", "https://registry-1.docker.io/v2/"] {
            try config(#"{"auths":{"\#(key)":{"auth":"\#(auth("ada", "pä:ss"))"}}}"#)
            #expect(
                try await find("docker.io", "library/busybox") == .basic(user: "ada", password: "pä:ss"),
                "\(key)"
            )
            #expect(try await find("example.org") == nil)
        }
    }

    @Test func theLongestBeginningOfTheRepositoryWins() async throws {
        try config(
            """
            {"auths": {
              "r.example:5000": {"auth": "\(auth("all", "1"))"},
              "r.example:5000/team": {"auth": "\(auth("team", "2"))"},
              "r.example:5000/team/app": {"auth": "\(auth("app", "3"))"},
              "https://r.example:5000/v1/": {"auth": "\(auth("old", "4"))"}
            }}
            """
        )
        let user = { (repository: String?) in "\(try await find("r.example:5000", repository)?.description ?? "-")" }
        #expect(try await user("team/app") == "user \"app\"")
        #expect(try await user("team/application") == "user \"team\"")
        #expect(try await user("team") == "user \"team\"")
        #expect(try await user("teams/app") == "user \"all\"")
        #expect(try await user(nil) == "user \"all\"")
        #expect(try await find("r.example", "team/app") == nil)
    }

    @Test func anEntryOfARepositoryComesBeforeAHelperOfTheRegistry() async throws {
        try helper("all", "#!/bin/sh\ncat > /dev/null; echo '{\"Username\":\"helped\",\"Secret\":\"p\"}'")
        let file = """
            {"credHelpers": {"r.example": "all"}, "auths": {
              "r.example": {"auth": "\(auth("host", "1"))"}, "r.example/team/": {"auth": "\(auth("team", "2"))"}
            }}
            """
        try config(file)
        #expect(try await find("r.example", "team/app") == .basic(user: "team", password: "2"))
        #expect(try await find("r.example", "other") == .basic(user: "helped", password: "p"))
        #expect(try await find("r.example") == .basic(user: "helped", password: "p"))
        try FileManager.default.removeItem(atPath: home + "/.docker")
        try folder.write(".config/containers/auth.json", file)
        #expect(try await find("r.example", "team/app/sub") == .basic(user: "team", password: "2"))
    }

    @Test(arguments: [false, true]) func oneRunShowsEachRepositoryItsOwn(withTokens: Bool) async throws {
        let users = """
            ann:$2b$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a
            bob:$2y$05$bcdefghijklmnopqrstuvOd/f3IFdVWozrYwx92wgQDXxP2PrJ9gy

            """
        let passwords = try PasswordFile(try folder.write("htpasswd", users).path)
        var options = RegistryOptions()
        options.access = withTokens ? .tokens(passwords) : .passwords(passwords)
        options.rememberedRequests = 100
        let store = try ImageStore(home + "/store")
        try await EmbeddedRegistry.run(store, options) { [self] registry in
            let host = registry.host
            try config(
                """
                {"auths": {
                  "\(host)": {"auth": "\(auth("eve", "wrong"))"},
                  "\(host)/team": {"auth": "\(auth("ann", "secret"))"},
                  "\(host)/team/own": {"auth": "\(auth("bob", "p:ä"))"}
                }}
                """
            )
            let client = RegistryClient(transport: NetworkTransport(NetworkSettings()), credentials: chain())

            for name in ["team/app", "team/own", "team/app"] {
                try await SmallImage().push(client, Repository(registry: host, name: name), tag: "v1")
            }
            let refused = await #expect(throws: RegistryError.self) {
                try await SmallImage().push(client, Repository(registry: host, name: "other"), tag: "v1")
            }

            #expect(refused?.message.contains("user \"eve\"") == true, "\(refused?.message ?? "")")
            for (name, user) in [("team/app", "ann"), ("team/own", "bob")] {
                let seen = registry.requests.filter { $0.path.hasPrefix("/v2/\(name)/") && $0.status < 300 }
                #expect(!seen.isEmpty && Set(seen.map(\.user)) == [user])
            }
        }
    }

    @Test func tokensOfEveryKindAreTold() async throws {
        try config(
            """
            {"auths": {
              "a.example": {"auth": "\(auth("00000000-0000-0000-0000-000000000000", ""))", "identitytoken": "it"},
              "b.example": {"registrytoken": "rt"},
              "c.example": {"username": "u", "password": "p"},
              "d.example": {}
            }}
            """
        )
        #expect(try await find("a.example") == .identityToken("it"))
        #expect(try await find("b.example") == .registryToken("rt"))
        #expect(try await find("c.example") == .basic(user: "u", password: "p"))
        #expect(try await find("d.example") == nil)
        #expect(
            "\(Credentials.registryToken("rt"))\(Credentials.identityToken("rt"))".contains("rt")
                == false
        )
    }

    @Test func filesAreAskedInTheirOrder() async throws {
        let file = { (user: String) in #"{"auths":{"r.example":{"auth":"\#(auth(user, "p"))"}}}"# }
        try folder.write("explicit.json", file("explicit"))
        try folder.write("run/containers/auth.json", file("run"))
        try folder.write(".config/containers/auth.json", file("home"))
        let run = ["XDG_RUNTIME_DIR": home + "/run"]
        let explicit = run.merging(["REGISTRY_AUTH_FILE": home + "/explicit.json"]) { $1 }
        let variables = explicit.merging([
            "CORACLE_REGISTRY_USER_R_EXAMPLE": "variable", "Coracle_Registry_Password_r_example": "p",
        ]) { $1 }

        #expect(try await find("r.example") == .basic(user: "home", password: "p"))
        #expect(try await find("r.example", nil, run) == .basic(user: "run", password: "p"))
        try config(file("docker"))
        #expect(try await find("r.example", nil, run) == .basic(user: "docker", password: "p"))
        #expect(try await find("r.example", nil, explicit) == .basic(user: "explicit", password: "p"))
        #expect(try await find("r.example", nil, variables) == .basic(user: "variable", password: "p"))
        let login = CredentialChain.Login(user: "typed", password: "p", host: "r.example")
        let typed = try await chain(variables, login: login).find(RegistryHost("r.example"), repository: nil)
        #expect(typed == .basic(user: "typed", password: "p"))
        #expect(try await chain(variables, login: login).find(RegistryHost("other.example"), repository: nil) == nil)
    }

    @Test func aTokenInAVariableComesFirstAndHalfALoginIsAnError() async throws {
        let token = ["CORACLE_REGISTRY_TOKEN_LOCALHOST_5000": "t"]
        #expect(try await find("localhost:5000", nil, token) == .registryToken("t"))
        let error = await #expect(throws: RegistryError.self) {
            try await find("my-acr.azurecr.io", nil, ["CORACLE_REGISTRY_PASSWORD_MY_ACR_AZURECR_IO": "hidden"])
        }
        #expect(
            error?.message
                == "CORACLE_REGISTRY_PASSWORD_MY_ACR_AZURECR_IO is set, and CORACLE_REGISTRY_USER_MY_ACR_AZURECR_IO is not"
        )
    }

    @Test func credentialsOfVariablesThatAreRefusedAreToldFromLogins() async throws {
        let variables = ["CORACLE_REGISTRY_USER_R_EXAMPLE": "u", "CORACLE_REGISTRY_PASSWORD_R_EXAMPLE": "hidden"]
        let advise = { (user: String, login: CredentialChain.Login?) in
            let who = Credentials.basic(user: user, password: "hidden")
            let access = MissingAccess(registry: "r.example", repository: "app", actions: ["pull"], credentials: who)
            return await chain(variables, login: login).advice(on: access)?.hint
        }

        let hint = await advise("u", nil)
        #expect(hint?.contains("CORACLE_REGISTRY_USER_R_EXAMPLE and CORACLE_REGISTRY_PASSWORD_R_EXAMPLE") ?? false)
        #expect(hint?.contains("hidden") == false)
        #expect(await advise("somebody else", nil) == nil)
        #expect(await advise("u", CredentialChain.Login(user: "u", password: "hidden", host: "r.example")) == nil)
    }

    @Test(arguments: [
        ("{", "malformed JSON at byte 1: a member has no name"), ("[]", "expected a JSON object"),
        (#"{"auths":[]}"#, "\"auths\" should be an object"),
        (#"{"auths":{"r.example":{"auth":"c2VjcmV0"}}}"#, "\"auth\" of \"r.example\" is not base 64 of USER:PASSWORD"),
    ])
    func aBrokenFileIsNamedAndShowsNoSecret(text: String, fault: String) async throws {
        try config(text)
        let error = await #expect(throws: RegistryError.self) { try await find("r.example") }
        #expect(error?.message == "\(home)/.docker/config.json: \(fault)")
        #expect(error?.hint?.contains("CORACLE_REGISTRY_USER_<HOST>") ?? false)
        let variables = ["CORACLE_REGISTRY_TOKEN_R_EXAMPLE": "t"]
        #expect(try await find("r.example", nil, variables) == .registryToken("t"))
    }

    // MARK: Helpers

    @Test func aHelperKeepsGivesAndForgets() async throws {
        try helper("shelf")
        try config(#"{"credsStore":"shelf","psFormat":"x","nested":{"a":[1,null]}}"#)
        let secrets = ["CORACLE_REGISTRY_PASSWORD_OTHER": "p"]
        let chain = chain(secrets)

        let place = try await chain.keep(.basic(user: "ada", password: "s3cret"), for: "docker.io")

        #expect(place == .helper("docker-credential-shelf"))
        let kept = try JSON(contentsOf: folder.url.appending(path: "kept"))
        #expect(kept["ServerURL"].string == "https://index.docker.io/v1/" && kept["Secret"].string == "s3cret")
        #expect(try await find("docker.io") == .basic(user: "ada", password: "s3cret"))
        let file = try String(contentsOf: folder.url.appending(path: ".docker/config.json"), encoding: .utf8)
        #expect(!file.contains("s3cret") && file.contains("psFormat") && file.contains("nested"))
        #expect(try await CredentialHelper("shelf", environment: chain.environment).list() == ["a.example": "ada"])
        #expect(try await chain.forget("docker.io") == ["docker-credential-shelf", home + "/.docker/config.json"])
        #expect(try await find("docker.io") == nil)
        #expect(try await chain.forget("docker.io") == [])

        let read = { (name: String) in try String(contentsOf: folder.url.appending(path: name), encoding: .utf8) }
        #expect(try !read("calls").contains("s3cret"), "a secret is never an argument")
        #expect(try Set(read("leaked").split(separator: "\n")) == ["0"], "other secrets are none of its business")
        // `ls` opens the folder as 3.
        #expect(try Set(read("open").split(separator: "\n")).subtracting(["0", "1", "2", "3"]) == [])
    }

    @Test func aHelperOfOneHostComesBeforeTheHelperOfAll() async throws {
        try helper("one", "#!/bin/sh\ncat > /dev/null; echo '{\"Username\":\"<token>\",\"Secret\":\"t\"}'")
        try helper("all", "#!/bin/sh\ncat > /dev/null; echo '{\"Username\":\"u\",\"Secret\":\"p\"}'")
        try config(#"{"credsStore":"all","credHelpers":{"r.example":"one"}}"#)
        #expect(try await find("r.example") == .identityToken("t"))
        #expect(try await find("s.example") == .basic(user: "u", password: "p"))
    }

    @Test func aHelperThatIsStillOpenForWritingIsWaitedFor() async throws {
        try helper("new", "#!/bin/sh\ncat > /dev/null; echo '{\"Username\":\"u\",\"Secret\":\"p\"}'")
        try config(#"{"credsStore":"new"}"#)
        let file = open(home + "/bin/docker-credential-new", O_WRONLY | O_CLOEXEC)
        try #require(file >= 0)
        DispatchQueue(label: "lets go").asyncAfter(deadline: .now() + 0.3) { close(file) }

        #expect(try await find("r.example") == .basic(user: "u", password: "p"))
    }

    @Test func aHelperThatFailsIsNamedWithItsOwnWords() async throws {
        try helper("bad", "#!/bin/sh\nread -r x; echo 'the keyring is locked'; echo more; exit 3")
        try helper("odd", "#!/bin/sh\nread -r x; echo 'hello'")
        try helper("rude", "#!/bin/sh\nx=$(cat); echo \"cannot keep $x\"; exit 1")
        try helper("all", "#!/bin/sh\nexit 1")
        try config(
            #"{"credsStore":"all","credHelpers":{"a.example":"bad","b.example":"odd","c.example":"gone","d.example":"rude"}}"#
        )
        let file = "\(home)/.docker/config.json"
        let fault = { (host: String) in
            let error = await #expect(throws: RegistryError.self) { try await find(host) }
            return (error?.message ?? "", error?.hint ?? "")
        }
        let (bad, afterBad) = await fault("a.example")
        #expect(
            bad == "docker-credential-bad get for a.example, which \(file) names in credHelpers for a.example: "
                + "the keyring is locked (exit 3)"
        )
        #expect(
            afterBad.hasPrefix(
                "look what docker-credential-bad list says, or take it out of credHelpers for a.example in \(file); "
                    + "CORACLE_REGISTRY_USER_A_EXAMPLE with CORACLE_REGISTRY_PASSWORD_A_EXAMPLE"
            )
        )
        let (odd, _) = await fault("b.example")
        #expect(odd.hasSuffix("its answer is not the JSON it should be: an object with Username and Secret"))
        let (gone, afterGone) = await fault("c.example")
        #expect(gone == "docker-credential-gone, which \(file) names in credHelpers for c.example, is not in PATH")
        #expect(afterGone.hasPrefix("install docker-credential-gone, or take it out of credHelpers for c.example in"))
        let (silent, _) = await fault("e.example:5000")
        #expect(
            silent == "docker-credential-all get for e.example:5000, which \(file) names in credsStore: "
                + "it says nothing (exit 1)"
        )
        let error = await #expect(throws: RegistryError.self) {
            try await chain().keep(.basic(user: "u", password: "s3cret"), for: "d.example")
        }
        #expect(error?.message.contains("cannot keep") ?? false)
        #expect(!(error?.message.contains("s3cret") ?? true))
    }

    @Test func aHelperThatDoesNotAnswerIsEndedAndNamed() async throws {
        try helper("slow", "#!/bin/sh\nexec sleep 600")
        let source = CredentialHelper.Source(file: "/etc/config.json", key: "credsStore")
        let slow = CredentialHelper("slow", environment: chain().environment, source: source, patience: 1)

        let error = await #expect(throws: RegistryError.self) { try await slow.find(RegistryHost("r.example")) }

        #expect(
            error?.message == "docker-credential-slow get for r.example, which /etc/config.json names in credsStore: "
                + "it did not answer in 1 s"
        )
        #expect(error?.hint?.contains("look what docker-credential-slow list says") == true)
    }

    @Test func aStoreThatIsNotInstalledIsToldAndGoneWithout() async throws {
        try config(#"{"credsStore":"desktop","auths":{"r.example":{"auth":"\#(auth("u", "p"))"}}}"#)
        let warnings = Warnings()
        let environment = ["HOME": home, "PATH": "/usr/bin"]
        let chain = CredentialChain(environment: environment) { warnings.add($0) }
        let found = try await chain.find(RegistryHost("r.example"), repository: nil)
        #expect(found == .basic(user: "u", password: "p"))
        #expect(
            warnings.lines == [
                "docker-credential-desktop, which \(home)/.docker/config.json names in credsStore, is not in PATH: "
                    + "going on without it"
            ]
        )
    }

    // MARK: Login

    @Test func aLoginGoesToAFileForTheOwnerAloneAndKeepsTheRest() async throws {
        let place = try await chain().keep(.basic(user: "u", password: "p:q"), for: "r.example:5000")
        let file = folder.url.appending(path: ".docker/config.json")
        #expect(place == .file(file.path))
        let mode = try FileManager.default.attributesOfItem(atPath: file.path)[.posixPermissions] as? Int
        #expect(mode == 0o600)
        #expect(try await find("r.example:5000") == .basic(user: "u", password: "p:q"))

        // A link stays one, what others keep in the file stays, and another login replaces only its own.
        let real = try folder.write("real.json", #"{"HttpHeaders":{"a":"b"},"auths":{"x.example":{"auth":"YTpi"}}}"#)
        try FileManager.default.removeItem(at: file)
        try FileManager.default.createSymbolicLink(at: file, withDestinationURL: real)
        _ = try await chain().keep(.basic(user: "v", password: "w"), for: "r.example:5000")
        let json = try JSON(contentsOf: real)
        #expect(json["HttpHeaders"]["a"].string == "b" && json["auths"]["x.example"]["auth"].string == "YTpi")
        #expect(try await chain().forget("r.example:5000") == [file.path])
        #expect(try JSON(contentsOf: real)["auths"].keys == ["x.example"])
    }

    /// Files as others write them, and what a login to `r.example` as `u` with `p` makes of them.
    static let written: [(before: String, after: String)] = [
        ("{}", "{\n  \"auths\": {\n    \"r.example\": {\n      \"auth\": \"dTpw\"\n    }\n  }\n}"),
        (#"{"z":1.0,"b":1E+2,"auths":null}"#, #"{"z":1.0,"b":1E+2,"auths":{"r.example":{"auth":"dTpw"}}}"#),
        (
            "{\n\t\"auths\": {\n\t\t\"a.example\": {\"auth\": \"YTpi\"}\n\t},\n\t\"n\": 10.50, \"big\": 1234567890123456789\n}\n",
            "{\n\t\"auths\": {\n\t\t\"a.example\": {\"auth\": \"YTpi\"},\n\t\t\"r.example\": {\n\t\t\t\"auth\": \"dTpw\"\n"
                + "\t\t}\n\t},\n\t\"n\": 10.50, \"big\": 1234567890123456789\n}\n"
        ),
        (
            #"{ "auths" : { "https://r.example/v1/" : { "auth" : "YQ==" , "x":[{}, "}"]} , "r.example":{} } , "\u0061":"\"{" }"#,
            #"{ "auths" : { "r.example":{"auth":"dTpw"} } , "\u0061":"\"{" }"#
        ),
        (#"{"auths":{"http://r.example":{}}}"#, #"{"auths":{"r.example":{"auth":"dTpw"}}}"#),
        (" \n", "{\n  \"auths\": {\n    \"r.example\": {\n      \"auth\": \"dTpw\"\n    }\n  }\n}\n"),
    ]

    @Test(arguments: written) func aLoginChangesItsOwnBytesOnly(before: String, after: String) async throws {
        try config(before)
        let file = folder.url.appending(path: ".docker/config.json")

        _ = try await chain().keep(.basic(user: "u", password: "p"), for: "r.example")

        #expect(try String(contentsOf: file, encoding: .utf8) == after)
        #expect(try await find("r.example") == .basic(user: "u", password: "p"))
        #expect(try await chain().forget("r.example") == [file.path])
        #expect(try await find("r.example") == nil)
        let left = try String(contentsOf: file, encoding: .utf8)
        for part in ["1.0", "1E+2", "10.50", "1234567890123456789", #""\u0061":"\"{""#, "YTpi"] {
            #expect(left.contains(part) == before.contains(part), "\(part) in \(left)")
        }
        #expect(try JSON(contentsOf: file)["auths"].keys == (before.contains("a.example") ? ["a.example"] : []))
    }

    @Test func manyLoginsAtOnceLoseNone() async throws {
        let chain = chain()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<24 {
                group.addTask {
                    _ = try await chain.keep(.basic(user: "u", password: "p"), for: "r\(number).example")
                }
            }
            try await group.waitForAll()
        }
        let json = try JSON(contentsOf: folder.url.appending(path: ".docker/config.json"))
        #expect(json["auths"].keys.count == 24)
    }
}

/// Lines that were told, from any thread.
private final class Warnings: Sendable {
    private let all = Mutex<[String]>([])
    var lines: [String] { all.withLock { $0 } }
    func add(_ line: String) { all.withLock { $0.append(line) } }
}
