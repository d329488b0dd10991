// SPDX-License-Identifier: Apache-2.0
import Archive
import Foundation
import HTTP
import OCI
import Registry
import TestSupport
import Testing

@testable import Azure

@Suite("Service principals with a certificate")
struct CertificateTests {
    private let folder: TemporaryFolder
    private let openssl: URL

    init() throws {
        folder = try TemporaryFolder()
        openssl = try #require(Program.named("openssl"))
        try make([
            "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=app", "-keyout", "key.pem",
            "-out", "cert.pem",
        ])
        try folder.write("both.pem", try text("cert.pem") + text("key.pem"))
        try folder.write("reversed.pem", "some words\n" + text("key.pem") + text("cert.pem"))
    }

    private func path(_ name: String) -> String { folder.url.appending(path: name).path }

    private func text(_ name: String) throws -> String {
        try String(contentsOf: folder.url.appending(path: name), encoding: .utf8)
    }

    private func make(_ arguments: [String]) throws {
        let files = ["-keyout", "-out", "-in", "-inkey", "-signature", "-verify", "-certfile"]
        let full = arguments.enumerated()
            .map { index, word in
                index > 0 && files.contains(arguments[index - 1]) ? path(word) : word
            }
        let result = try Program.run(full, of: openssl)
        try #require(result.status == 0, "openssl \(arguments): \(result.errors)")
    }

    private func assertion(_ file: String, password: String? = nil, chain: Bool = false) throws -> String {
        try CertificateAssertion(
            file: path(file),
            password: password,
            sendsChain: chain,
            client: ServicePrincipalTests.client,
            audience: "https://login.microsoftonline.com/t/oauth2/v2.0/token"
        )
        .text
    }

    @Test("What we sign, openssl finds signed", arguments: ["both.pem", "reversed.pem"])
    func verified(file: String) throws {
        let parts = try assertion(file).split(separator: ".").map { String($0) }
        let header = try JSONValue(parsing: #require(Base64.decode(parts[0])))
        let claims = try JSONValue(parsing: #require(Base64.decode(parts[1])))

        try folder.write("signed", "\(parts[0]).\(parts[1])")
        try Data(#require(Base64.decode(parts[2]))).write(to: folder.url.appending(path: "signature"))
        try make(["x509", "-in", "cert.pem", "-pubkey", "-noout", "-out", "public.pem"])
        let isVerified = try Program.run(
            [
                "dgst", "-sha256", "-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:32", "-sigopt",
                "rsa_mgf1_md:sha256", "-verify", path("public.pem"), "-signature", path("signature"), path("signed"),
            ],
            of: openssl
        )

        #expect(isVerified.output.contains("Verified OK"), "\(isVerified.errors)")
        #expect(header["alg"] == "PS256")
        #expect(header["typ"] == "JWT")
        #expect(header["x5c"] == nil)
        let print = try Program.run(
            ["x509", "-in", path("cert.pem"), "-noout", "-fingerprint", "-sha256"],
            of: openssl
        )
        let named = header["x5t#S256"]?.string ?? ""
        let hex = try #require(Base64.decode(named)).map { String(format: "%02X", $0) }
        #expect(print.output.trimmingCharacters(in: .newlines).hasSuffix(hex.joined(separator: ":")))
        #expect(claims["iss"]?.string == ServicePrincipalTests.client)
        #expect(claims["sub"] == claims["iss"])
        #expect(claims["aud"] == "https://login.microsoftonline.com/t/oauth2/v2.0/token")
        #expect(claims["exp"]?.int == claims["iat"]?.int.map { $0 + 600 })
        #expect(claims["nbf"] == claims["iat"])
        #expect(claims["jti"]?.string?.count == 36)
    }

    @Test("Every assertion is new")
    func fresh() throws {
        #expect(try assertion("both.pem") != assertion("both.pem"))
    }

    @Test("The chain is sent where it is asked for, the certificate first")
    func chain() throws {
        try make([
            "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=other", "-keyout", "k2.pem",
            "-out", "other.pem",
        ])
        try folder.write("chain.pem", text("other.pem") + text("key.pem") + text("cert.pem"))

        let first = try assertion("chain.pem", chain: true).prefix { $0 != "." }
        let head = try #require(Base64.decode(first))

        let chain = try #require(JSONValue(parsing: head)["x5c"]?.texts)
        let own = base64("cert.pem")
        #expect(chain.count == 2)
        #expect(chain.first == own)
    }

    private func base64(_ name: String) -> String {
        ((try? text(name)) ?? "").split(separator: "\n").filter { !$0.hasPrefix("-----") }.joined()
    }

    @Test("A .pfx does as well, and an encrypted key with its password")
    func encrypted() throws {
        try make([
            "pkcs12", "-export", "-in", "cert.pem", "-inkey", "key.pem", "-out", "app.pfx", "-passout", "pass:w0rd",
        ])
        try make(["pkcs12", "-export", "-in", "cert.pem", "-inkey", "key.pem", "-out", "open.pfx", "-passout", "pass:"])
        try make(["pkey", "-in", "key.pem", "-aes256", "-passout", "pass:w0rd", "-out", "locked.pem"])
        try folder.write("lockedboth.pem", text("locked.pem") + text("cert.pem"))

        _ = try assertion("app.pfx", password: "w0rd")
        _ = try assertion("open.pfx")
        _ = try assertion("lockedboth.pem", password: "w0rd")
    }

    @Test("What cannot sign is named, with the reason")
    func unusable() throws {
        try make([
            "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=o", "-keyout", "k2.pem",
            "-out", "c2.pem",
        ])
        try make([
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
            "-subj", "/CN=o", "-keyout", "ek.pem", "-out", "ec.pem",
        ])
        try make(["pkey", "-in", "key.pem", "-aes256", "-passout", "pass:w0rd", "-out", "locked.pem"])
        try make([
            "pkcs12", "-export", "-in", "cert.pem", "-inkey", "key.pem", "-out", "app.pfx", "-passout", "pass:w0rd",
        ])
        try folder.write("mixed.pem", text("c2.pem") + text("key.pem"))
        try folder.write("elliptic.pem", text("ec.pem") + text("ek.pem"))
        try folder.write("lockedboth.pem", text("locked.pem") + text("cert.pem"))
        try folder.write("words", "neither this nor that")
        let cases: [(String, String?, String)] = [
            ("cert.pem", nil, "there is no private key in it"), ("key.pem", nil, "there is no certificate in it"),
            ("mixed.pem", nil, "its private key is not that of a certificate in it"),
            ("elliptic.pem", nil, "its key is not RSA, and Entra ID takes no other"),
            ("lockedboth.pem", nil, "its private key is encrypted, and there is no password for it"),
            ("lockedboth.pem", "wrong", "its password is wrong"), ("app.pfx", "wrong", "its password is wrong"),
            ("app.pfx", nil, "it is encrypted, and there is no password for it"),
            ("words", nil, "it is neither PEM nor PKCS #12"),
        ]
        for (file, password, reason) in cases {
            let error = #expect(throws: AzureError.self) { try assertion(file, password: password) }
            #expect(error?.message == "the certificate \(path(file)) cannot be used: \(reason)")
        }
        let absent = #expect(throws: AzureError.self) { try assertion("absent") }
        #expect(absent?.message == "reading the certificate \(path("absent")): no such file or directory")
    }

    @Test("The assertion goes to Entra ID, made out to the very address it goes to; the file is read each time")
    func sent() async throws {
        let peer = try Peer { _, _ in .token("t") }
        let proof = ServicePrincipal.Proof.certificate(path: path("both.pem"), password: nil, sendsChain: false)
        let principal = try ServicePrincipalTests.principal(proof, try .local(peer))

        _ = try await principal.token(for: "https://x")
        let form = try #require(peer.requests.first?.form)
        try FileManager.default.removeItem(atPath: path("both.pem"))
        let error = await #expect(throws: AzureError.self) { try await principal.token(for: "https://x") }

        #expect(form["client_assertion_type"] == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
        let claims = try #require(form["client_assertion"]).split(separator: ".")[1]
        let audience = try JSONValue(parsing: #require(Base64.decode(claims)))["aud"]?.string
        #expect(audience == "http://\(peer.host)/\(ServicePrincipalTests.tenant)/oauth2/v2.0/token")
        #expect(error?.message.hasPrefix("reading the certificate") == true)
        #expect(principal.summary.hasSuffix("(certificate \(path("both.pem")))"))
    }
}
