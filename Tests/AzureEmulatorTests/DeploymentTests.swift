// SPDX-License-Identifier: Apache-2.0
import Foundation
import OCI
import TestSupport
import Testing

@testable import AzureEmulator

@Suite("Templates", .serialized, .waiting)
struct DeploymentTests {
    private func template(
        _ resources: String,
        parameters: String = "{}",
        outputs: String = "{}",
        values: String = "{}",
        mode: String = "Incremental"
    ) -> String {
        """
        {"properties": {"mode": "\(mode)", "parameters": \(values), "template": {
        "$schema": "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#",
        "contentVersion": "1.0.0.0", "parameters": \(parameters), "resources": \(resources), "outputs": \(outputs)}}}
        """
    }

    private static let place = "Microsoft.Resources/deployments/test"
    private static let identity = """
        {"type": "Microsoft.ManagedIdentity/userAssignedIdentities", "apiVersion": "2023-01-31",
        "name": "[concat(parameters('stem'), '-pull')]", "location": "[resourceGroup().location]"}
        """

    private func finished(_ azure: Emulating) async throws -> JSON {
        var seen = try JSON(parsing: "{}")
        for _ in 0..<300 {
            seen = try JSON(parsing: await azure.arm("GET", Self.place, version: "2024-03-01").text)
            if ["Succeeded", "Failed"].contains(seen["properties"]["provisioningState"].string) { break }
            try await Task.sleep(for: .milliseconds(50))
        }
        return seen
    }

    @Test("A template makes its resources, each after those that it needs, and gives its outputs")
    func deploys() async throws {
        let azure = try await Emulating()
        let role = """
            {"type": "Microsoft.Authorization/roleAssignments", "apiVersion": "2022-04-01",
            "name": "[guid(resourceGroup().id, 'pull')]", "properties": {
            "roleDefinitionId": "[subscriptionResourceId('Microsoft.Authorization/roleDefinitions', '7f951dda-4ed3-4680-a7ca-43fe172d538d')]",
            "principalId": "[reference(resourceId('Microsoft.ManagedIdentity/userAssignedIdentities', concat(parameters('stem'), '-pull'))).principalId]"}}
            """
        let body = template(
            "[\(role), \(Self.identity)]",
            parameters:
                "{\"stem\": {\"type\": \"string\"}, \"key\": {\"type\": \"securestring\", \"defaultValue\": \"hidden\"}}",
            outputs: "{\"name\": {\"type\": \"string\", \"value\": \"[toUpper(parameters('stem'))]\"}}",
            values: "{\"stem\": {\"value\": \"app\"}}"
        )

        let made = try await azure.arm("PUT", Self.place, body, version: "2024-03-01")
        let done = try await finished(azure)

        #expect(made.status == 201, "\(made.text)")
        #expect(
            done["properties"]["provisioningState"].string == "Succeeded",
            "\(done["properties"]["error"].raw ?? "")"
        )
        #expect(done["properties"]["outputs"]["name"]["value"].string == "APP")
        #expect(done["properties"]["parameters"]["key"]["value"].isNull, "secrets are not shown")
        #expect(done["properties"]["outputResources"].array.count == 2)
        let again = try await azure.arm("POST", "\(Self.place)/whatIf", body, version: "2024-03-01")
        #expect(again.status == 202)
        let location = try #require(again["Location"]).replacingOccurrences(of: "http://127.0.0.1", with: "")
        let changes = try JSON(parsing: await azure.arm("GET", location, version: nil).text)["properties"]["changes"]
            .array
        #expect(changes.compactMap { $0["changeType"].string } == ["NoChange", "NoChange"])
    }

    @Test("What is wrong with a template is said before anything is changed")
    func refuses() async throws {
        let azure = try await Emulating()
        func refusal(_ body: String) async throws -> (code: String, message: String) {
            try Emulating.error(await azure.arm("POST", "\(Self.place)/validate", body, version: "2024-03-01"))
        }

        let missing = try await refusal(template("[\(Self.identity)]"))
        #expect(missing.code == "InvalidTemplate")
        #expect(missing.message.contains("The template parameter 'stem' is not found"))
        let unset = try await refusal(template("[\(Self.identity)]", parameters: "{\"stem\": {\"type\": \"string\"}}"))
        #expect(unset.message.contains("The value for the template parameter 'stem' is not provided"))
        let group =
            "[{\"type\": \"Microsoft.ContainerInstance/containerGroups\", \"apiVersion\": \"2023-05-01\", \"name\": \"x\", \"location\": \"westeurope\", \"properties\": {\"osType\": \"Linux\"}}]"
        let inner = try await azure.arm("POST", "\(Self.place)/validate", template(group), version: "2024-03-01")
        #expect(try Emulating.error(inner).code == "InvalidTemplateDeployment")
        #expect(try JSON(parsing: inner.text)["error"]["details"].array.first?["code"].string == "MissingContainers")
        #expect(try await azure.arm("GET", Self.place, version: "2024-03-01").status == 404)
    }

    @Test("A resource that fails fails its deployment, which says why")
    func fails() async throws {
        let azure = try await Emulating()
        let group = ShellImage.group([ShellImage.container("web", "true")])
            .replacingOccurrences(
                of: "{\"location\"",
                with:
                    "{\"type\": \"\(Emulating.container)\", \"apiVersion\": \"2023-05-01\", \"name\": \"web\", \"location\"",
                options: .anchored
            )

        _ = try await azure.arm("PUT", Self.place, template("[\(group)]"), version: "2024-03-01")
        let done = try await finished(azure)

        #expect(done["properties"]["provisioningState"].string == "Failed")
        #expect(done["properties"]["error"]["details"].array.first?["code"].string == "InaccessibleImage")
        let operations = try await azure.arm("GET", "\(Self.place)/operations", version: "2024-03-01")
        #expect(operations.text.contains("InaccessibleImage"))
    }

    @Test(
        "Expressions give what the template language says",
        arguments: [
            ("[concat('a', 'b''c')]", "\"ab'c\""), ("[[kept]", "\"[kept]\""),
            ("[format('{0}-{1}', 'x', 3)]", "\"x-3\""),
            ("[if(equals('A', 'a'), 1, div(1, 0))]", "1"), ("[length(createArray(1, 2))]", "2"),
            (
                "[resourceId('Microsoft.X/a/b', 'c', 'd')]",
                "\"/subscriptions/s/resourceGroups/g/providers/Microsoft.X/a/c/b/d\""
            ),
            ("[split('a,b', ',')[1]]", "\"b\""), ("[createObject('k', 'v').k]", "\"v\""), ("[add(2, mul(3, 4))]", "14"),
            ("[base64('hello')]", "\"aGVsbG8=\""), ("[substring('abcdef', 2, 3)]", "\"cde\""),
            ("[union(createObject('a', 1), createObject('b', 2))]", "{\"a\":1,\"b\":2}"),
            ("[coalesce(null(), 'x')]", "\"x\""),
        ]
    )
    func expressions(text: String, expected: String) throws {
        var scope = TemplateScope()
        scope.subscription = "s"
        scope.group = ["name": "g", "id": "/subscriptions/s/resourceGroups/g"]

        #expect(try scope.value(of: .string(text)).canonical == expected)
    }
}
