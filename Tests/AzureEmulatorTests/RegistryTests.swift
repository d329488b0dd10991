// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

@Suite("Registries", .serialized, .waiting, .enabled(if: ShellImage.program != nil, "no busybox"))
struct RegistryTests {
    private static let id = "Microsoft.ContainerRegistry/registries/testregistry"

    private func admin(_ azure: Emulating) async throws -> String {
        let reply = try await azure.arm("POST", "\(Self.id)/listCredentials", version: "2023-07-01")
        return try #require(try JSON(parsing: reply.text)["passwords"].array.first?["value"].string, "\(reply.text)")
    }

    private func push(_ azure: Emulating, _ host: String, user: String, password: String) throws -> Program {
        let folder = azure.files.url
        let auth = Data("\(user):\(password)".utf8).base64EncodedString()
        try Data("{\"auths\":{\"\(host)\":{\"auth\":\"\(auth)\"}}}".utf8)
            .write(to: folder.appending(path: "config.json"))
        return try Program.run(
            ["copy", "oci:\(try ShellImage.layout())", "docker://\(host)/team/shell:1"],
            environment: ["DOCKER_CONFIG": folder.path, "CORACLE_STORE": folder.appending(path: "store").path]
        )
    }

    private func claims(_ token: String) throws -> JSON {
        var text = token.split(separator: ".")[1].replacingOccurrences(of: "-", with: "+")
            .replacingOccurrences(of: "_", with: "/")
        while text.count % 4 != 0 { text += "=" }
        return try JSON(parsing: String(decoding: try #require(Data(base64Encoded: text)), as: UTF8.self))
    }

    @Test("The admin user and the service principal push; a wrong password does not")
    func pushes() async throws {
        let azure = try await Emulating(["--registry", "testregistry"])
        let host = try await azure.registry("testregistry")

        let wrong = try push(azure, host, user: "testregistry", password: "wrong")
        let admin = try push(azure, host, user: "testregistry", password: try await admin(azure))
        let principal = try push(azure, host, user: Emulating.client, password: "emulated-secret")

        #expect(wrong.status == 3, "\(wrong.errors)")
        #expect(admin.status == 0, "\(admin.errors)")
        #expect(principal.status == 0, "\(principal.errors)")
    }

    @Test("A token of the directory becomes a refresh token, and that an access token with the rights there are")
    func exchange() async throws {
        let azure = try await Emulating(["--registry", "testregistry", "--role", "AcrPull"])
        let host = try await azure.registry("testregistry")
        let port = try #require(Int(host.split(separator: ":")[1]))
        let form = [("Content-Type", "application/x-www-form-urlencoded"), ("Host", host)]
        func ask(_ path: String, _ body: String) async throws -> JSON {
            let wire = try await offPool {
                let wire = try Wire(port: port)
                let head =
                    "POST \(path) HTTP/1.1\r\nHost: \(host)\r\nContent-Length: \(body.utf8.count)\r\n\(form[0].0): \(form[0].1)\r\n\r\n"
                try wire.send(Array((head + body).utf8))
                return try wire.receive("POST")
            }
            return try JSON(parsing: wire.text)
        }
        let token = try await azure.token(for: "https://containerregistry.azure.net")

        let refresh = try await ask("/oauth2/exchange", "grant_type=access_token&service=\(host)&access_token=\(token)")
        let text = try #require(refresh["refresh_token"].string)
        let scope = "repository:team/app:pull,push"
        let access = try await ask(
            "/oauth2/token",
            "grant_type=refresh_token&service=\(host)&scope=\(scope)&refresh_token=\(text)"
        )

        #expect(access.keys == ["access_token"], "Azure's registry says no more")
        let entry = try claims(try #require(access["access_token"].string))["access"].array[0]
        #expect(entry["name"].string == "team/app")
        #expect(entry["actions"].strings == ["pull"], "what is lacking is left out, with status 200")
        let graph = try await azure.token(for: "https://graph.microsoft.com")
        let refused = try await ask("/oauth2/exchange", "grant_type=access_token&service=\(host)&access_token=\(graph)")
        #expect(refused["errors"].array.first?["code"].string == "UNAUTHORIZED")
    }

    @Test(
        "A group pulls with its own credentials, and only with the right ones",
        .enabled(if: ShellImage.canRun, "not root")
    )
    func pulls() async throws {
        let azure = try await Emulating(["--registry", "testregistry"])
        let host = try await azure.registry("testregistry")
        let password = try await admin(azure)
        #expect(try push(azure, host, user: "testregistry", password: password).status == 0)
        func group(_ password: String?) -> String {
            let more = password.map {
                "\"imageRegistryCredentials\": [{\"server\": \"\(host)\", \"username\": \"testregistry\", \"password\": \"\($0)\"}]"
            }
            return ShellImage.group([ShellImage.container("job", "echo pulled")], policy: "Never", more: more ?? "")
                .replacingOccurrences(of: ShellImage.name, with: "\(host)/team/shell:1")
        }

        let place = "\(Emulating.container)/job"
        #expect(try Emulating.error(await azure.arm("PUT", place, group(nil))).code == "InaccessibleImage")
        #expect(try Emulating.error(await azure.arm("PUT", place, group("wrong"))).code == "InaccessibleImage")
        let made = try await azure.arm("PUT", place, group(password))

        #expect(made.status == 201, "\(made.text)")
        #expect(!made.text.contains(password))
        var said = ""
        for _ in 0..<200 where said.isEmpty {
            said = try await azure.logs("job", "job")
            try await Task.sleep(for: .milliseconds(50))
        }
        #expect(said == "pulled\n")
    }

    @Test("Credentials of a registry without an admin user are refused in Azure's words")
    func noAdmin() async throws {
        let azure = try await Emulating()
        let made = try await azure.arm(
            "PUT",
            "Microsoft.ContainerRegistry/registries/another",
            "{\"location\": \"westeurope\", \"sku\": {\"name\": \"Basic\"}, \"properties\": {}}",
            version: "2023-07-01"
        )
        #expect(made.status == 201, "\(made.text)")
        #expect(try JSON(parsing: made.text)["properties"]["loginServer"].string?.hasPrefix("127.0.0.1:") == true)

        let reply = try await azure.arm(
            "POST",
            "Microsoft.ContainerRegistry/registries/another/listCredentials",
            version: "2023-07-01"
        )

        #expect(try Emulating.error(reply).code == "UnAuthorizedForCredentialOperations")
    }
}
