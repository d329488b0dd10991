// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

@Suite("What the emulator does not have, and what it has late", .serialized, .waiting)
struct UnemulatedTests {
    /// What is added to the container, what to the group, and what the refusal names.
    static let parts: [(String, String, String)] = [
        (#""securityContext": {"capabilities": {"add": ["SYS_ADMIN"]}}"#, "", "securityContext.capabilities"),
        (#""securityContext": {"seccompProfile": "e30="}"#, "", "securityContext.seccompProfile"),
        ("", #""sku": "Confidential""#, "the sku 'Confidential'"),
        ("", #""dnsConfig": {"nameServers": ["10.0.0.1"]}"#, "properties.dnsConfig"),
        (
            "", #""diagnostics": {"logAnalytics": {"workspaceId": "w", "workspaceKey": "k"}}"#, "properties.diagnostics"
        ),
        (
            "", #""encryptionProperties": {"vaultBaseUrl": "v", "keyName": "k", "keyVersion": "1"}"#,
            "properties.encryptionProperties"
        ),
        ("", #""volumes": [{"name": "v", "secretReference": {"a": "b"}}]"#, "properties.volumes[0].secretReference"),
        (
            #""environmentVariables": [{"name": "A", "secureValueReference": "r"}]"#, "",
            "environmentVariables: secureValueReference"
        ),
    ]

    private static let plain = ShellImage.container("web", "true")

    @Test("It is refused by its place, and never taken without a word", arguments: parts)
    func refused(part: (String, String, String)) async throws {
        let azure = try await Emulating()
        let body = ShellImage.group([ShellImage.container("web", "true", more: part.0)], more: part.1)

        let reply = try await azure.arm("PUT", "\(Emulating.container)/web", body, version: "2025-09-01")

        let error = try Emulating.error(reply)
        #expect(error.code == "NotEmulated", "\(reply.text)")
        #expect(error.message.contains(part.2), "\(reply.text)")
    }

    @Test("A subnet is a name with a form; its groups have no public address and no label")
    func subnets() async throws {
        let azure = try await Emulating()
        func refusal(_ more: String) async throws -> String {
            let body = ShellImage.group(
                [ShellImage.container("web", "true", more: #""ports": [{"port": 80}]"#)],
                more: more
            )
            return try Emulating.error(await azure.arm("PUT", "\(Emulating.container)/web", body)).code
        }
        let subnet =
            #""subnetIds": [{"id": "/subscriptions/s/resourceGroups/g/providers/Microsoft.Network/virtualNetworks/v/subnets/n"}]"#
        func address(_ type: String, _ more: String = "") -> String {
            #""ipAddress": {"type": "\#(type)", "ports": [{"port": 80}]\#(more)}"#
        }

        #expect(try await refusal(address("Private")) == "IPAddressTypeNotSupported")
        #expect(try await refusal(subnet + "," + address("Public")) == "PublicIpAddressNotSupportedWithVNet")
        let label = #", "dnsNameLabel": "my-own-site""#
        #expect(try await refusal(subnet + "," + address("Private", label)) == "DnsNameLabelNotSupportedWithVNet")
        #expect(
            try await refusal(#""subnetIds": [{"id": "/subscriptions/s"}],"# + address("Private")) == "InvalidSubnetId"
        )
        // With everything right it is the image that is missing.
        #expect(try await refusal(subnet + "," + address("Private")) == "InaccessibleImage")
    }

    @Test("Quotas count what is there", .enabled(if: ShellImage.canRun, "no busybox, or not root"))
    func quotas() async throws {
        let azure = try await Emulating(["--group-quota", "2", "--core-quota", "1"] + ShellImage.flags)
        func put(_ name: String) async throws -> Wire.Reply {
            let body = ShellImage.group([ShellImage.container("web", "sleep 1000")])
            return try await azure.arm("PUT", "\(Emulating.container)/\(name)", body)
        }

        for name in ["one", "two"] { #expect(try await put(name).status == 201) }
        let third = try Emulating.error(await put("three"))
        #expect(third.code == "ContainerGroupQuotaReached")
        #expect(
            third.message.contains(
                "'ContainerGroups' exceeded in region 'westeurope'. Limit: '2', Usage: '2' Requested: '1'"
            )
        )
        let place =
            "/subscriptions/\(Emulating.subscription)/providers/Microsoft.ContainerInstance/locations/westeurope/usages"
        let usages = try JSON(parsing: await azure.arm("GET", place).text)["value"].array
        #expect(usages.map { $0["currentValue"].int } == [2, 1])
        #expect(try await azure.arm("DELETE", "\(Emulating.container)/one").status == 200)
        #expect(try await put("three").status == 201)
    }

    @Test(
        "A git repository is a volume, at a revision, and a group whose repository is not there says why",
        .enabled(if: ShellImage.canRun && Program.named("git") != nil, "no busybox, no git, or not root")
    )
    func repository() async throws {
        let azure = try await Emulating(ShellImage.flags)
        let git = try #require(Program.named("git"))
        let folder = azure.files.url.appending(path: "source.git")
        try azure.files.write("source.git/file", "first")
        let commit = ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-aqm", "x"]
        for words in [["init", "-q"], ["add", "file"], commit] {
            #expect(try Program.run(words, of: git, in: folder).status == 0)
        }
        let first = try Program.run(["rev-parse", "HEAD"], of: git, in: folder).output.trimmingCharacters(in: .newlines)
        try azure.files.write("source.git/file", "second")
        #expect(try Program.run(commit, of: git, in: folder).status == 0)
        func volume(_ name: String, _ more: String) -> String {
            #"{"name": "\#(name)", "gitRepo": {"repository": "\#(folder.path)"\#(more)}}"#
        }
        let mounts = ["newest", "older"].map { #"{"name": "\#($0)", "mountPath": "/\#($0)"}"# }.joined(separator: ", ")
        let job = ShellImage.container(
            "job",
            "cat /newest/source/file /older/file; touch /older/new",
            more: "\"volumeMounts\": [\(mounts)]"
        )
        let volumes =
            volume("newest", "") + ", " + volume("older", #", "directory": ".", "revision": "\#(first)""#)

        let made = try await azure.arm(
            "PUT",
            "\(Emulating.container)/job",
            ShellImage.group([job], policy: "Never", more: "\"volumes\": [\(volumes)]")
        )
        #expect(made.status == 201, "\(made.text)")
        let isDone = { (group: JSON) in
            group["properties"]["containers"].array.first?["properties"]["instanceView"]["currentState"]["state"].string
                == "Terminated"
        }
        _ = try await azure.group("job", when: isDone)
        #expect(try await azure.logs("job", "job") == "secondfirst")

        let missing = #"{"name": "newest", "gitRepo": {"repository": "/no/such"}}, "# + volume("older", "")
        _ = try await azure.arm(
            "PUT",
            "\(Emulating.container)/lost",
            ShellImage.group([job], policy: "Never", more: "\"volumes\": [\(missing)]")
        )
        _ = try await azure.group("lost", when: isDone)
        #expect(try await azure.logs("lost", "job").contains("git clone: "))
    }

    private static let identity = """
        {"type": "Microsoft.ManagedIdentity/userAssignedIdentities", "apiVersion": "2023-01-31",
        "name": "[parameters('stem')]", "location": "[resourceGroup().location]"}
        """

    private func inner(_ parameters: String, _ output: String) -> String {
        """
        {"$schema": "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#",
        "contentVersion": "1.0.0.0", "parameters": \(parameters), "resources": [\(Self.identity)],
        "outputs": {"made": {"type": "string", "value": "\(output)"}}}
        """
    }

    private func template(_ name: String, _ scope: String, _ parameters: String, _ template: String) -> String {
        """
        {"type": "Microsoft.Resources/deployments", "apiVersion": "2024-03-01", "name": "\(name)", "properties":
        {"mode": "Incremental", "expressionEvaluationOptions": {"scope": "\(scope)"},
        "parameters": \(parameters), "template": \(template)}}
        """
    }

    @Test("A template within a template has its own parameters, or those around it, and its outputs are read")
    func nested() async throws {
        let azure = try await Emulating()
        let own = template(
            "own",
            "inner",
            #"{"stem": {"value": "[concat(parameters('stem'), '-inner')]"}}"#,
            inner(#"{"stem": {"type": "string"}}"#, "[parameters('stem')]")
        )
        let around = template("around", "outer", "{}", inner("{}", "[parameters('stem')]"))
        let body = """
            {"properties": {"mode": "Incremental", "parameters": {"stem": {"value": "app"}}, "template": {
            "$schema": "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#",
            "contentVersion": "1.0.0.0", "parameters": {"stem": {"type": "string"}}, "resources": [\(own), \(around)],
            "outputs": {"inner": {"type": "string", "value": "[reference('own').outputs.made.value]"},
            "outer": {"type": "string", "value": "[reference('around').outputs.made.value]"}}}}}
            """

        let made = try await azure.arm("PUT", "Microsoft.Resources/deployments/test", body, version: "2024-03-01")
        #expect(made.status == 201, "\(made.text)")
        var seen = try JSON(parsing: "{}")
        for _ in 0..<300 where !["Succeeded", "Failed"].contains(seen["properties"]["provisioningState"].string) {
            seen = try JSON(
                parsing: await azure.arm("GET", "Microsoft.Resources/deployments/test", version: "2024-03-01").text
            )
            try await Task.sleep(for: .milliseconds(50))
        }

        #expect(
            seen["properties"]["provisioningState"].string == "Succeeded",
            "\(seen["properties"]["error"].raw ?? "")"
        )
        #expect(seen["properties"]["outputs"]["inner"]["value"].string == "app-inner")
        #expect(seen["properties"]["outputs"]["outer"]["value"].string == "app")
        let elsewhere = body.replacingOccurrences(
            of: #""name": "own","#,
            with: #""name": "own", "resourceGroup": "other","#
        )
        let refused = try await azure.arm(
            "PUT",
            "Microsoft.Resources/deployments/test",
            elsewhere,
            version: "2024-03-01"
        )
        #expect(try Emulating.error(refused).message.contains("their own resource group only"))
    }

    @Test("A federated token counts only if the key of its issuer signed it, where that is known")
    func federation() async throws {
        let openssl = try #require(Program.named("openssl"))
        let folder = try TemporaryFolder()
        let (key, other, publicKey) = (
            folder.url.appending(path: "key.pem").path, folder.url.appending(path: "other.pem").path,
            folder.url.appending(path: "public.pem").path
        )
        for file in [key, other] { _ = try Program.run(["genrsa", "-out", file, "2048"], of: openssl) }
        _ = try Program.run(["rsa", "-in", key, "-pubout", "-out", publicKey], of: openssl)
        let azure = try await Emulating(["--federation", "https://issuer.example,me", "--federation-key", publicKey])
        func ask(_ signer: String) async throws -> Wire.Reply {
            let claims =
                #"{"iss":"https://issuer.example","sub":"me","aud":"api://AzureADTokenExchange","exp":\#(Int(Date().timeIntervalSince1970) + 300)}"#
            let signed = base64(Data(#"{"alg":"RS256"}"#.utf8)) + "." + base64(Data(claims.utf8))
            let (text, signature) = (try folder.write("text", signed), folder.url.appending(path: "signature"))
            _ = try Program.run(["dgst", "-sha256", "-sign", signer, "-out", signature.path, text.path], of: openssl)
            return try await azure.ask([
                "grant_type": "client_credentials", "client_id": Emulating.client,
                "scope": "https://management.azure.com/.default",
                "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
                "client_assertion": "\(signed).\(base64(try Data(contentsOf: signature)))",
            ])
        }

        #expect(try await ask(key).status == 200)
        #expect(try JSON(parsing: await ask(other).text)["error_codes"].array.first?.int == 50013)
        let open = try await Emulating(["--federation", "https://issuer.example,me"])
        #expect(open.log.contains("signatures of tokens of https://issuer.example are not looked at"))
    }

    private func base64(_ data: Data) -> String {
        data.base64EncodedString().replacingOccurrences(of: "+", with: "-").replacingOccurrences(of: "/", with: "_")
            .replacingOccurrences(of: "=", with: "")
    }
}
