// SPDX-License-Identifier: Apache-2.0
import Foundation
import OCI
import RegistryServer
import Store
import TestSupport
import Testing

/// Users, tokens, and what those who are neither get.
@Suite(.inTurns) struct AccessTests {
    /// The users `ann` with the password `secret` and `bob` with `p:ä`, hashed by python's crypt with few rounds.
    static let users = """
        # users of the tests
        ann:$2b$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a

        bob:$2y$05$bcdefghijklmnopqrstuvOd/f3IFdVWozrYwx92wgQDXxP2PrJ9gy

        """

    static func passwords(_ folder: TemporaryFolder) throws -> PasswordFile {
        try PasswordFile(try folder.write("htpasswd", users).path)
    }

    static func basic(_ user: String, _ password: String) -> [(String, String)] {
        [("Authorization", "Basic " + Data("\(user):\(password)".utf8).base64EncodedString())]
    }

    @Test func aPasswordLetsIn() async throws {
        let folder = try TemporaryFolder()
        var options = RegistryOptions()
        options.access = .passwords(try Self.passwords(folder))
        try await Serving.run(options) { serving in
            let bare = try await serving.ask("GET", "/v2/")
            #expect(bare.status == 401 && bare.codes == ["UNAUTHORIZED"])
            #expect(bare["WWW-Authenticate"] == "Basic realm=\"coracle\"")
            for (user, password, status) in [
                ("ann", "secret", 200), ("bob", "p:ä", 200), ("ann", "Secret", 401), ("eve", "secret", 401),
                ("", "", 401), ("ann", "", 401),
            ] {
                let reply = try await serving.ask("GET", "/v2/", Self.basic(user, password))
                #expect(reply.status == status, "\(user) \(password)")
            }
            for header in ["Basic", "Basic !!!", "Basic YW5u", "Bearer x", "Digest a=b"] {
                #expect(try await serving.ask("GET", "/v2/", [("Authorization", header)]).status == 401, "\(header)")
            }
            #expect(serving.registry.requests.contains { $0.user == "ann" })
        }
    }

    @Test func theFileOfUsersIsReadAgain() async throws {
        let folder = try TemporaryFolder()
        var options = RegistryOptions()
        options.access = .passwords(try Self.passwords(folder))
        try await Serving.run(options) { serving in
            #expect(try await serving.ask("GET", "/v2/", Self.basic("ann", "secret")).status == 200)

            try folder.write("htpasswd", Self.users.replacingOccurrences(of: "ann:", with: "anna:"))

            #expect(try await serving.ask("GET", "/v2/", Self.basic("ann", "secret")).status == 401)
            #expect(try await serving.ask("GET", "/v2/", Self.basic("anna", "secret")).status == 200)
        }
    }

    @Test(arguments: ["ann:secret", "ann:$apr1$a$b", "ann", ":$2y$05$x", "ann:{SHA}x"])
    func otherHashesAreRefused(line: String) throws {
        let folder = try TemporaryFolder()
        let path = try folder.write("users", "# users\n\(line)\n").path

        let error = try #require(throws: RegistryServerError.self) { try PasswordFile(path) }

        #expect(error.message == "\(path):2: not a user and a bcrypt hash; htpasswd -B USER writes one")
    }

    @Test func thoseWhoSayNothingMayPullWhereThatIsSaid() async throws {
        let folder = try TemporaryFolder()
        var options = RegistryOptions()
        options.access = .passwords(try Self.passwords(folder))
        options.access.anonymousMayPull = true
        try await Serving.run(options) { serving in
            var ann = serving
            ann.headers = Self.basic("ann", "secret")
            let image = try await ann.pushImage("v1")

            #expect(try await serving.ask("GET", "/v2/team/app/manifests/v1").body == image.bytes)
            #expect(try await serving.ask("POST", "/v2/team/app/blobs/uploads/", body: []).status == 401)
            #expect(try await serving.ask("DELETE", "/v2/team/app/manifests/v1").status == 401)
        }
    }

    @Test func aTokenDoesWhatItWasAskedFor() async throws {
        let folder = try TemporaryFolder()
        var options = RegistryOptions()
        options.access = .tokens(try Self.passwords(folder))
        try await Serving.run(options) { serving in
            let bare = try await serving.ask("GET", "/v2/team/app/manifests/v1")
            let realm = "Bearer realm=\"http://127.0.0.1/token\",service=\"coracle\""
            #expect(bare["WWW-Authenticate"] == realm + ",scope=\"repository:team/app:pull\"")
            #expect(try await serving.ask("GET", "/v2/")["WWW-Authenticate"] == realm)
            func token(_ query: String) async throws -> [(String, String)] {
                let reply = try await serving.ask("GET", "/token?\(query)", Self.basic("ann", "secret"))
                let text = try JSON(parsing: reply.text)["token"].string
                return [("Authorization", "Bearer \(text ?? "")")]
            }

            let push = try await token("service=coracle&scope=repository:team/app:pull,push&scope=repository:b:pull")
            var ann = serving
            ann.headers = push
            try await ann.pushImage("v1")

            let other = try await ann.ask("POST", "/v2/b/blobs/uploads/", body: [])
            #expect(other.status == 401)
            #expect(other["WWW-Authenticate"]?.contains("scope=\"repository:b:pull,push\"") ?? false)
            #expect(other["WWW-Authenticate"]?.contains("error=\"insufficient_scope\"") ?? false)
            #expect(try await ann.ask("DELETE", "/v2/team/app/manifests/v1").status == 401)
            #expect(try await ann.ask("GET", "/v2/_catalog").status == 401)
            ann.headers = try await token("scope=registry:catalog:*%20repository:team/app:delete")
            #expect(try await ann.ask("GET", "/v2/_catalog").status == 200)
            #expect(try await ann.ask("DELETE", "/v2/team/app/manifests/v1").status == 202)
            #expect(try await serving.ask("GET", "/token?scope=repository:a:pull").status == 401)
            #expect(try await serving.ask("GET", "/token", Self.basic("ann", "no")).status == 401)
            #expect(try await serving.ask("GET", "/token?service=x", Self.basic("ann", "secret")).status == 400)
            for bad in ["x", "a.b.c", push[0].1.dropFirst(7) + "x"] {
                let reply = try await serving.ask("GET", "/v2/", [("Authorization", "Bearer \(bad)")])
                #expect(reply["WWW-Authenticate"]?.contains("error=\"invalid_token\"") ?? false)
            }
        }
    }

    @Test func tokensOutliveAServerWhereTheStoreKeepsTheirKey() async throws {
        let folder = try TemporaryFolder()
        let store = try ImageStore(folder.url.path + "/store")
        let key = folder.url.path + "/store/registry/_token-key"
        func token(_ access: RegistryAccess.Tokens, _ old: String? = nil) async throws -> (new: String, oldStatus: Int)
        {
            var options = RegistryOptions()
            options.access = .tokens(try Self.passwords(folder), access)
            nonisolated(unsafe) var result = ("", 0)
            try await Serving.run(options, folder: folder) { serving in
                let reply = try await serving.ask("GET", "/token?service=coracle", Self.basic("ann", "secret"))
                let status = try await serving.ask("GET", "/v2/", [("Authorization", "Bearer \(old ?? "")")]).status
                result = (try JSON(parsing: reply.text)["token"].string ?? "", status)
            }
            return result
        }
        func kept() throws -> RegistryAccess.Tokens {
            var tokens = RegistryAccess.Tokens()
            tokens.key = try TokenKey(keptIn: store)
            return tokens
        }

        let first = try await token(kept())
        #expect(try await token(kept(), first.new).oldStatus == 200)
        #expect(try await token(RegistryAccess.Tokens(), first.new).oldStatus == 401)

        let mode = try FileManager.default.attributesOfItem(atPath: key)[.posixPermissions] as? Int
        #expect(mode == 0o600)
        #expect("\(try TokenKey(keptIn: store))" == "a token key")
        #expect(
            try FileManager.default.contentsOfDirectory(atPath: folder.url.path + "/store/registry") == ["_token-key"]
        )
        try FileManager.default.removeItem(atPath: key)
        #expect(try await token(kept(), first.new).oldStatus == 401)
        try folder.write("store/registry/_token-key", "short")
        let error = #expect(throws: RegistryServerError.self) { try TokenKey(keptIn: store) }
        #expect(error?.message == "\(key) is no key of 32 bytes: remove it, and a new one is made")
    }

    @Test func aKeyOfAFileIsLongEnough() throws {
        let folder = try TemporaryFolder()
        let path = try folder.write("key", String(repeating: "k", count: 31) + "\n").path
        let error = #expect(throws: RegistryServerError.self) { try TokenKey(readingFrom: path) }
        #expect(
            error?.message == "\(path) has 31 bytes, and a key has 32 at least: openssl rand -hex 32 makes one"
        )
        #expect(throws: RegistryServerError.self) { try TokenKey(readingFrom: path + "-not") }
        try folder.write("key", String(repeating: "k", count: 32) + "\n")
        _ = try TokenKey(readingFrom: path)
    }

    @Test func warningsAreInEveryAnswerInTheFormOfTheSpecification() async throws {
        var options = RegistryOptions()
        try options.warn("Moving to \"b.example\" on \\ Monday")
        try options.warn("second")
        #expect(throws: RegistryServerError.self) { try options.warn("two\nlines") }
        #expect(throws: RegistryServerError.self) { try options.warn("") }
        let error = #expect(throws: RegistryServerError.self) {
            try options.warn(String(repeating: "x", count: 4096 - 40))
        }
        #expect(error?.message.hasSuffix("bytes, and 4,096 are allowed together") == true)
        try await Serving.run(options) { serving in
            for path in ["/v2/", "/v2/team/app/manifests/none"] {
                let reply = try await serving.ask("GET", path)
                let found = reply.headers.filter { $0.0.lowercased() == "warning" }.map(\.1)
                #expect(found == [#"299 - "Moving to \"b.example\" on \\ Monday""#, #"299 - "second""#])
            }
        }
    }

    @Test func aRefreshTokenGetsTokens() async throws {
        let folder = try TemporaryFolder()
        var options = RegistryOptions()
        options.access = .tokens(try Self.passwords(folder))
        try await Serving.run(options) { serving in
            func post(_ form: String) async throws -> Wire.Reply {
                try await serving.ask("POST", "/token", body: Array(form.utf8))
            }
            let first = try await post(
                "grant_type=password&service=coracle&username=bob&password=p%3A%C3%A4&access_type=offline&client_id=t"
            )
            let refresh = try #require(try JSON(parsing: first.text)["refresh_token"].string)

            let second = try await post(
                "grant_type=refresh_token&service=coracle&refresh_token=\(refresh)&scope=repository:a:pull"
            )

            let token = try #require(try JSON(parsing: second.text)["access_token"].string)
            #expect(try await serving.ask("GET", "/v2/", [("Authorization", "Bearer \(token)")]).status == 200)
            #expect(try await serving.ask("GET", "/v2/", [("Authorization", "Bearer \(refresh)")]).status == 401)
            #expect(try await post("grant_type=refresh_token&refresh_token=\(token)").status == 401)
        }
    }

    @Test(.enabled(if: Program.named("openssl") != nil), arguments: ["RS256", "ES256"])
    func tokensOfAServerElsewhereCount(algorithm: String) async throws {
        let folder = try TemporaryFolder()
        let openssl = try #require(Program.named("openssl"))
        let kind = algorithm == "RS256" ? ["rsa:2048"] : ["ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
        let made = try await offPool {
            try Program.run(
                ["req", "-x509", "-newkey"] + kind + ["-nodes", "-keyout", "key", "-out", "cert", "-subj", "/CN=t"],
                of: openssl,
                in: folder.url
            )
        }
        try #require(made.status == 0, "\(made.errors)")
        var options = RegistryOptions()
        options.access = try .tokens(
            of: "https://auth.example.com/token",
            service: "reg",
            issuer: "auth",
            certificate: folder.url.path + "/cert"
        )
        try await Serving.run(options) { serving in
            let now = Int(Date().timeIntervalSince1970)
            func status(_ claims: String) async throws -> Int {
                let token = try await offPool { try ForeignToken.sign(claims, algorithm, in: folder.url, openssl) }
                return try await serving.ask("GET", "/v2/a/tags/list", [("Authorization", "Bearer \(token)")]).status
            }
            let access = #""access":[{"type":"repository","name":"a","actions":["pull"]}]"#
            let good = #"{"iss":"auth","aud":"reg","sub":"ann","exp":\#(now + 100),\#(access)}"#

            #expect(try await status(good) == 404)
            #expect(try await status(good.replacingOccurrences(of: "\"auth\"", with: "\"eve\"")) == 401)
            #expect(try await status(good.replacingOccurrences(of: "\"reg\"", with: "\"x\"")) == 401)
            // Clocks may differ by a minute, both ways.
            #expect(try await status(good.replacingOccurrences(of: "\(now + 100)", with: "\(now - 30)")) == 404)
            #expect(try await status(good.replacingOccurrences(of: "\(now + 100)", with: "\(now - 61)")) == 401)
            let early = { (seconds: Int) in
                good.replacingOccurrences(of: "\"exp\"", with: "\"nbf\":\(now + seconds),\"exp\"")
            }
            #expect(try await status(early(30)) == 404)
            #expect(try await status(early(300)) == 401)
            #expect(try await status(good.replacingOccurrences(of: "pull", with: "push")) == 401)
            let bare = try await serving.ask("GET", "/v2/")
            #expect(bare["WWW-Authenticate"] == #"Bearer realm="https://auth.example.com/token",service="reg""#)
            let none = "eyJhbGciOiJub25lIn0." + Data(good.utf8).base64EncodedString() + "."
            #expect(try await serving.ask("GET", "/v2/", [("Authorization", "Bearer \(none)")]).status == 401)
        }
    }
}

/// Tokens as a server elsewhere makes them.
enum ForeignToken {
    static func sign(_ claims: String, _ algorithm: String, in folder: URL, _ openssl: URL) throws -> String {
        let text = "\(encode(Data(#"{"alg":"\#(algorithm)"}"#.utf8))).\(encode(Data(claims.utf8)))"
        try Data(text.utf8).write(to: folder.appending(path: "text"))
        let arguments = ["dgst", "-sha256", "-sign", "key", "-out", "signature", "text"]
        guard try Program.run(arguments, of: openssl, in: folder).status == 0 else { return "" }
        var signature = [UInt8](try Data(contentsOf: folder.appending(path: "signature")))
        if algorithm == "ES256" { signature = numbers(signature) }
        return "\(text).\(encode(Data(signature)))"
    }

    /// The two numbers of a DER sequence, 32 bytes each.
    private static func numbers(_ der: [UInt8]) -> [UInt8] {
        let first = Array(der[4..<4 + Int(der[3])])
        let second = Array(der[(4 + first.count + 2)...])
        return [first, second]
            .flatMap { number in
                let digits = number.drop { $0 == 0 }
                return [UInt8](repeating: 0, count: 32 - digits.count) + digits
            }
    }

    private static func encode(_ data: Data) -> String {
        data.base64EncodedString().replacingOccurrences(of: "+", with: "-").replacingOccurrences(of: "/", with: "_")
            .replacingOccurrences(of: "=", with: "")
    }
}
