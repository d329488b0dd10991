// SPDX-License-Identifier: Apache-2.0
import Azure
import Deploy
import Foundation
import OCI
import TestSupport
import Testing

@Suite("Templates")
struct TemplateTests {
    private func template(_ wish: GroupWish) -> Template {
        let group = ContainerGroup.merging(wish, into: nil, name: "web")
        return Template(group, name: "web", place: .init(resourceGroup: "demo"))
    }

    @Test("No secret is in any form", arguments: Template.Form.allCases)
    func secrets(form: Template.Form) {
        for wish in [Groups.whole, Groups.small] {
            let text = template(wish).write(form)

            for secret in Groups.secrets { #expect(!text.contains(secret), "\(secret)") }
            #expect(!text.contains("\u{0}"))
            #expect(!text.contains("\\u0000"))
        }
    }

    @Test("An ARM template matches the published schemas, and asks for each secret")
    func arm() throws {
        for wish in [Groups.whole, Groups.small] {
            let text = template(wish).write(.arm)

            let faults = try Schemas.faults(ofTemplate: text) ?? []
            #expect(faults == [])
        }
        let json = try JSON(parsing: template(Groups.whole).write(.arm))
        #expect(
            json["parameters"].keys == [
                "location", "myacrAzurecrIoPassword", "name", "secretVolTlsKey", "shareVolStorageKey", "webDbPassword",
            ]
        )
        #expect(json["parameters"]["webDbPassword"]["type"].string == "securestring")
        #expect(json["parameters"]["webDbPassword"]["defaultValue"].isNull)
        let container = json["resources"].array[0]["properties"]["containers"].array[0]["properties"]
        let variables = container["environmentVariables"].array
        #expect(variables[0]["value"].string == "[[prod]", "a text in brackets is no expression")
        #expect(variables[1]["secureValue"].string == "[parameters('webDbPassword')]")
        #expect(json["resources"].array[0]["tags"]["team"].string == "[[blue]")
    }

    @Test("Bicep has balanced brackets, secure parameters, and no number with a fraction")
    func bicep() {
        let text = template(Groups.whole).write(.bicep)

        #expect(text.contains("@secure()\nparam webDbPassword string\n"))
        #expect(text.contains("secureValue: webDbPassword\n"))
        #expect(text.contains("cpu: json('0.5')\n"))
        #expect(text.contains("'it\\'s \\$HOME'"))
        #expect(text.contains("resource group 'Microsoft.ContainerInstance/containerGroups@2023-05-01' = {\n"))
        #expect(text.contains("output fqdn string = group.properties.ipAddress.fqdn\n"))
        // Outside of texts, brackets match and no number has a fraction.
        var (depth, isText, last) = ([Character](), false, Character(" "))
        var bare = ""
        for letter in text {
            if letter == "'", last != "\\" { isText.toggle() }
            if !isText {
                bare.append(letter)
                if "{[(".contains(letter) { depth.append(letter) }
                if let open = ["}": "{", "]": "[", ")": "("][String(letter)] {
                    #expect(depth.popLast().map { String($0) } == open)
                }
            }
            last = last == "\\" ? " " : letter
        }
        #expect(depth.isEmpty && !isText)
        #expect(!bare.contains { $0 == "\0" })
        #expect(bare.firstMatch(of: /[0-9]\.[0-9]/) == nil)
    }

    @Test("Bicep says the same as the ARM template, read again word by word")
    func same() throws {
        var odd = Groups.small
        odd.tags = ["a b": "it's ${x} \\ 'y'\n\tz", "[x]": "[reference('y')]", "9": "true"]
        for wish in [Groups.whole, Groups.small, odd] {
            let arm = try JSONValue(parsing: Array(template(wish).write(.arm).utf8))
            let bicep = try BicepText(template(wish).write(.bicep))

            var resource = BicepText.unescaped(try #require(arm["resources"]?.array?.first))
            let (type, version) = (resource["type"]?.string ?? "", resource["apiVersion"]?.string ?? "")
            (resource["type"], resource["apiVersion"]) = (nil, nil)
            #expect(bicep.type == "\(type)@\(version)")
            #expect(bicep.resource == resource, "\(bicep.resource.pretty)\n\(resource.pretty)")
            let declared = arm["parameters"]?.object ?? [:]
            #expect(bicep.parameters.keys.sorted() == declared.keys.sorted())
            for (name, parameter) in bicep.parameters {
                let kind = declared[name]?["type"]?.string ?? ""
                #expect(parameter.isSecure == kind.lowercased().hasPrefix("secure"), "\(name)")
                #expect(parameter.type == (kind == "secureObject" ? "object" : "string"))
            }
            #expect(bicep.outputs.sorted() == (arm["outputs"]?.object ?? [:]).keys.sorted())
        }
    }

    @Test("A simple group is az container create, its secrets variables of the shell")
    func az() throws {
        var wish = Groups.small
        wish.tags = ["a": "b c"]
        wish.containers[0].command = ["sh", "-c", "echo 'hi there'"]

        let text = template(wish).write(.az)

        #expect(text.contains("az container create \\\n  --resource-group demo \\\n  --name web"))
        #expect(text.contains("--image \(Groups.image)"))
        #expect(text.contains("--cpu 1 --memory 1.5"))
        #expect(text.contains("--secure-environment-variables \"KEY=$WEB_KEY\""))
        #expect(text.contains("--registry-password \"$MYACR_AZURECR_IO_PASSWORD\""))
        #expect(text.contains("az tag update --operation Merge --tags 'a=b c'"))
        #expect(
            try shell(text, ["WEB_KEY": "x y", "MYACR_AZURECR_IO_PASSWORD": "z"])
                .contains("--command-line|sh -c 'echo '\\''hi there'\\'''|")
        )
    }

    @Test("A group that az container create has no flags for is deployed as a template")
    func azTemplate() throws {
        let text = template(Groups.whole).write(.az)

        #expect(text.contains("az deployment group create"))
        #expect(text.contains("webDbPassword=\"$WEB_DB_PASSWORD\""))
        let names = ["WEB_DB_PASSWORD", "MYACR_AZURECR_IO_PASSWORD", "SHARE_VOL_STORAGE_KEY", "SECRET_VOL_TLS_KEY"]
        let words = try shell(text, Dictionary(uniqueKeysWithValues: names.map { ($0, "v") }))
        #expect(words.contains("deployment|group|create|"))
    }

    @Test("A secret that is not given ends the script before anything is done")
    func azMissing() throws {
        #expect(try shell(template(Groups.small).write(.az), [:]).isEmpty)
    }

    /// Runs a script with an `az` that prints what it is given, a bar after each word.
    private func shell(_ script: String, _ environment: [String: String]) throws -> String {
        let variables = ["PATH=/usr/bin:/bin"] + environment.map { "\($0.key)=\($0.value)" }
        let command = ["/bin/bash", "-c", "az() { printf '%s|' \"$@\"; }\n" + script]
        return try Program.run(["-i"] + variables + command, of: URL(filePath: "/usr/bin/env")).output
    }
}
