// SPDX-License-Identifier: Apache-2.0
import HTTP
import TestSupport
import Testing

@Suite("Addresses", .inTurns)
struct AddressTests {
    @Test(
        "Location and Link are read relative to what was asked, their queries untouched",
        arguments: [
            ("/v2/a/blobs/uploads/1?_state=a%3Db&x=", "https://acr.example/v2/a/blobs/uploads/1?_state=a%3Db&x="),
            ("https://data.example:8443/x?sig=a%2Bb", "https://data.example:8443/x?sig=a%2Bb"),
            ("//other.example/y", "https://other.example/y"),
            ("?n=2&last=b", "https://acr.example/v2/_catalog?n=2&last=b"),
            ("next", "https://acr.example/v2/next"),
        ]
    )
    func resolving(reference: String, expected: String) throws {
        let base = try HTTPURL("https://acr.example/v2/_catalog?n=1")

        #expect(try base.resolving(reference).text == expected)
    }

    @Test(
        "Host and port are read",
        arguments: ["https://[::1]:5000/v2/", "http://LOCALHOST", "https://user:pw@h.example"]
    )
    func parts(text: String) throws {
        let url = try HTTPURL(text)

        let found = ["::1 5000 true", "localhost 80 true", "h.example 443 false"]
        #expect(found.contains("\(url.host) \(url.port) \(url.isLoopback)"))
        #expect(!url.text.contains("pw"))
    }

    @Test(
        "What cannot be asked is refused with a reason, and without its password",
        arguments: [
            "ftp://x", "https://", "https://a:99999/", "https://a b/", "https://a/ b", "x", "https://u:hunter22@:0/",
        ]
    )
    func malformed(text: String) throws {
        let error = try #require(throws: ServerError.self) { try HTTPURL(text) }

        #expect(error.code == .badAddress)
        #expect(error.message.contains("is not an address that can be asked"))
        #expect(!error.message.contains("hunter22"))
    }

    @Test(
        "Loopback is recognized, and nothing else",
        arguments: [
            ("http://127.9.8.7:1/", true), ("http://[::1]/", true), ("http://localhost:5000", true),
            ("http://127.0.0.1.example/", false), ("http://10.0.0.1", false), ("http://localhost.example", false),
        ]
    )
    func loopback(text: String, expected: Bool) throws {
        #expect(try HTTPURL(text).isLoopback == expected)
    }
}

@Suite("Redaction", .inTurns)
struct RedactionTests {
    @Test("Addresses show well-known parameters only")
    func address() throws {
        let url = try HTTPURL("https://s.blob.core.windows.net/a?sv=2025&sig=SECRET%3D&digest=sha256:1&scope=x")

        #expect(url.description == "https://s.blob.core.windows.net/a?sv=***&sig=***&digest=sha256:1&scope=x")
    }

    @Test(
        "Others' text loses what is secret in it",
        arguments: [
            "Authorization: Bearer s3cr3t-token-value", "header \"Basic s3cr3t-token-value\" refused",
            "https://user:s3cr3t-token-value@proxy:3128/ is down", "GET /x?sig=s3cr3t-token-value&se=1",
            "{\"refresh_token\":\"s3cr3t-token-value\"}", "{\"password\": \"s3cr3t-token-value\"}",
            "token eyJhbGciOiJSUzI1NiJ9.s3cr3t-token-value.sig", "known s3cr3t-token-value here",
            "encoded known%20secret%2Fs3cr3t",
        ]
    )
    func text(text: String) {
        let shown = Redaction.text(
            text,
            secrets: text.contains("known") ? ["s3cr3t-token-value", "known secret/s3cr3t"] : []
        )

        #expect(!shown.contains("s3cr3t"), "\(shown)")
        #expect(shown.contains(Redaction.mark))
    }

    @Test("Other text stays, but for control characters")
    func plain() {
        #expect(Redaction.text("basic auth is off; see realm=\"x\"") == "basic auth is off; see realm=\"x\"")
        #expect(Redaction.text("a\u{1B}[31mb\nc") == "a [31mb c")
    }
}

@Suite("Proxies", .inTurns)
struct ProxyTests {
    @Test(
        "NO_PROXY is read as Go and curl read it",
        arguments: [
            ("https://acr.example/", "acr.example", false), ("https://a.acr.example/", "acr.example", false),
            ("https://a.acr.example/", ".acr.example", false), ("https://acr.example/", ".acr.example", true),
            ("https://a.acr.example/", "*.acr.example", false), ("https://xacr.example/", "acr.example", true),
            ("https://acr.example:8443/", "acr.example:8443", false),
            ("https://acr.example/", "acr.example:8443", true),
            ("https://10.1.2.3/", "10.0.0.0/8", false), ("https://11.1.2.3/", "10.0.0.0/8", true),
            ("https://10.1.2.3/", "10.1.2.3", false), ("https://[fd00::1]/", "fd00::/8", false),
            ("https://acr.example/", "*", false), ("https://acr.example/", "other.example, acr.example", false),
            ("https://localhost:5000/", "", false), ("https://127.0.0.1/", "", false),
            ("https://acr.example/", "", true),
        ]
    )
    func exceptions(url: String, exceptions: String, isProxied: Bool) throws {
        let settings = ProxySettings(environment: ["HTTPS_PROXY": "http://proxy.example:3128", "NO_PROXY": exceptions])

        #expect(try (settings.proxy(for: HTTPURL(url)) != nil) == isProxied)
    }

    @Test("Names in lower case come first, and logins are decoded")
    func environment() throws {
        let settings = ProxySettings(environment: [
            "HTTPS_PROXY": "http://wrong.example", "https_proxy": "http://me:p%40ss@right.example:3128",
            "http_proxy": "plain.example:80",
        ])

        let secure = try #require(try settings.proxy(for: HTTPURL("https://acr.example")))
        #expect(secure.url.text == "http://right.example:3128/" || secure.url.text == "http://right.example:3128")
        #expect(secure.user == "me")
        #expect(try settings.proxy(for: HTTPURL("http://acr.example"))?.url.host == "plain.example")
    }

    @Test("A proxy of an unknown kind is refused without its password")
    func kind() throws {
        let settings = ProxySettings(environment: ["HTTPS_PROXY": "socks5://me:hunter22@proxy.example"])

        let error = try #require(throws: ServerError.self) { try settings.proxy(for: HTTPURL("https://acr.example")) }

        #expect(error.message == "the proxy socks5://***@proxy.example is of a kind that is not spoken")
        #expect(error.hint == "give a proxy that begins with http:// in HTTPS_PROXY")
    }
}
