// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

@Suite("Signing in", .serialized, .waiting)
struct EntraTests {
    private static let scope = "https://management.azure.com/.default"

    private func code(_ reply: Wire.Reply) throws -> Int? {
        let json = try JSON(parsing: reply.text)
        #expect(json["error_description"].string?.hasPrefix("AADSTS") == true)
        #expect(json["correlation_id"].string?.count == 36)
        return json["error_codes"].array.first?.int
    }

    @Test("What is wrong with a secret or a request has Entra's own number")
    func secrets() async throws {
        let azure = try await Emulating()
        let right = [
            "grant_type": "client_credentials", "client_id": Emulating.client, "client_secret": "emulated-secret",
            "scope": Self.scope,
        ]
        func ask(_ change: [String: String?], tenant: String = Emulating.tenant) async throws -> Wire.Reply {
            var form = right
            for (name, value) in change { form[name] = value }
            return try await azure.ask(form, tenant: tenant)
        }

        #expect(try await ask([:]).status == 200)
        let wrong = try await ask(["client_secret": "wrong"])
        #expect(wrong.status == 401)
        #expect(try code(wrong) == 7_000_215)
        #expect(!wrong.text.contains("wrong\""))
        #expect(try code(await ask(["client_id": "99999999-9999-4999-8999-999999999999"])) == 700_016)
        #expect(try code(await ask(["client_secret": nil])) == 7_000_218)
        #expect(try code(await ask(["scope": "https://management.azure.com/user"])) == 1_002_012)
        #expect(try code(await ask(["grant_type": "password"])) == 70_003)
        #expect(try code(await ask([:], tenant: "elsewhere.onmicrosoft.com")) == 90_002)
    }

    private func part(_ json: String) -> String { base64(Data(json.utf8)) }

    private func base64(_ data: Data) -> String {
        data.base64EncodedString().replacingOccurrences(of: "+", with: "-").replacingOccurrences(of: "/", with: "_")
            .replacingOccurrences(of: "=", with: "")
    }

    @Test("An assertion that a certificate signed counts, until anything of it is another")
    func certificates() async throws {
        let openssl = try #require(Program.named("openssl"))
        let folder = try TemporaryFolder()
        let (key, certificate) = (folder.url.appending(path: "key.pem"), folder.url.appending(path: "cert.pem"))
        _ = try Program.run(
            [
                "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=client", "-keyout",
                key.path,
                "-out", certificate.path,
            ],
            of: openssl
        )
        let der = folder.url.appending(path: "cert.der")
        _ = try Program.run(["x509", "-in", certificate.path, "-outform", "der", "-out", der.path], of: openssl)
        let hash = folder.url.appending(path: "hash")
        _ = try Program.run(["dgst", "-sha256", "-binary", "-out", hash.path, der.path], of: openssl)
        let azure = try await Emulating(["--certificate", certificate.path])
        let thumbprint = base64(try Data(contentsOf: hash))
        func assertion(_ seconds: Int, audience: String? = nil, spoilt: Bool = false) throws -> String {
            let now = Int(Date().timeIntervalSince1970)
            let place = audience ?? "http://127.0.0.1/\(Emulating.tenant)/oauth2/v2.0/token"
            let signed =
                part("{\"alg\":\"PS256\",\"typ\":\"JWT\",\"x5t#S256\":\"\(thumbprint)\"}") + "."
                + part(
                    "{\"aud\":\"\(place)\",\"iss\":\"\(Emulating.client)\",\"sub\":\"\(Emulating.client)\",\"nbf\":\(now - 60),\"exp\":\(now + seconds)}"
                )
            let (text, signature) = (folder.url.appending(path: "text"), folder.url.appending(path: "signature"))
            try Data(signed.utf8).write(to: text)
            _ = try Program.run(
                [
                    "dgst", "-sha256", "-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:32", "-sign",
                    key.path,
                    "-out", signature.path, text.path,
                ],
                of: openssl
            )
            var bytes = try Data(contentsOf: signature)
            if spoilt { bytes[0] ^= 1 }
            return "\(signed).\(base64(bytes))"
        }
        func ask(_ assertion: String) async throws -> Wire.Reply {
            try await azure.ask([
                "grant_type": "client_credentials", "client_id": Emulating.client, "scope": Self.scope,
                "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
                "client_assertion": assertion,
            ])
        }

        let right = try await ask(assertion(300))
        #expect(right.status == 200, "\(right.text)")
        #expect(try code(await ask(assertion(300, spoilt: true))) == 700_027)
        #expect(try code(await ask(assertion(-5))) == 700_024)
        #expect(try code(await ask(assertion(300, audience: "https://elsewhere"))) == 700_023)
        #expect(try code(await ask("no.token")) == 50_027)
    }

    @Test("A federated token counts while it is in time, for the subject and the audience that are trusted")
    func federation() async throws {
        let azure = try await Emulating(["--federation", "https://issuer.example,repo:team/app:ref:refs/heads/main"])
        func ask(_ subject: String, _ seconds: Int, audience: String = "api://AzureADTokenExchange") async throws
            -> Wire.Reply
        {
            let end = Int(Date().timeIntervalSince1970) + seconds
            let claims =
                "{\"iss\":\"https://issuer.example\",\"sub\":\"\(subject)\",\"aud\":\"\(audience)\",\"exp\":\(end)}"
            return try await azure.ask([
                "grant_type": "client_credentials", "client_id": Emulating.client, "scope": Self.scope,
                "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
                "client_assertion": "\(part("{\"alg\":\"RS256\"}")).\(part(claims)).\(part("signature"))",
            ])
        }
        let subject = "repo:team/app:ref:refs/heads/main"

        #expect(try await ask(subject, 300).status == 200)
        #expect(try code(await ask(subject, -5)) == 700_024)
        #expect(try code(await ask("repo:team/app:ref:refs/heads/Main", 300)) == 7_002_138)
        #expect(try code(await ask("repo:team/other", 300)) == 700_213)
        #expect(try code(await ask(subject, 300, audience: "api://elsewhere")) == 700_212)
        try await azure.plan(#"{"fault": "expiredAssertion"}"#)
        #expect(try code(await ask(subject, 300)) == 700_024)
        #expect(try await ask(subject, 300).status == 200)
    }

    @Test("Machines get tokens for a header, in numbers that are texts")
    func machines() async throws {
        let azure = try await Emulating()
        let path = "/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https://management.azure.com/"

        let bare = try await Wire.ask("GET", path, port: azure.port)
        let reply = try await Wire.ask("GET", path, port: azure.port, headers: [("Metadata", "true")])

        #expect(bare.status == 400)
        let json = try JSON(parsing: reply.text)
        #expect(json["expires_in"].string == "3599")
        #expect(json["expires_on"].string != nil)
        let token = try #require(json["access_token"].string)
        #expect(try await azure.arm("GET", "/subscriptions", token: token).status == 200)
    }
}
