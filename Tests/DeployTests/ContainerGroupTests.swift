// SPDX-License-Identifier: Apache-2.0
import Azure
import OCI
import TestSupport
import Testing

@Suite("Container groups")
struct ContainerGroupTests {
    @Test("What is sent matches the strict schema of its version")
    func schema() throws {
        let group = ContainerGroup.merging(Groups.whole, into: nil, name: "web")

        let schemaFaults = try Schemas.faults(of: group) ?? []
        #expect(schemaFaults == [])
        #expect(GroupRules.faults(of: group, name: "web") == [])
        #expect(group.missingSecrets.isEmpty)
        #expect(group.apiVersion == "2023-05-01")
    }

    @Test("The schema is strict: what is not known is refused")
    func schemaIsStrict() throws {
        var group = ContainerGroup.merging(Groups.small, into: nil, name: "web")
        group.json["properties"]?["colour"] = "blue"
        group.json["properties"]?["restartPolicy"] = 5

        let faults = try Schemas.faults(of: group)

        #expect((faults ?? ["", ""]).count == 2, "\(faults ?? [])")
    }

    @Test("Reading and writing back changes nothing that can be written")
    func roundTrip() throws {
        let sent = ContainerGroup.merging(Groups.whole, into: nil, name: "web")
        let read = try Groups.given(sent)

        var back = read.writable
        #expect(back.missingSecrets.count == Groups.secrets.count)
        let filled = sent.secretPlaces.map { ($0.kind, sent.secret(at: $0)) }
        for place in back.missingSecrets {
            if case .file(_, nil) = place.kind {
                back.json = ContainerGroup.merging(Groups.whole, into: back, name: "web").json
                continue
            }
            let secret = try #require(filled.first { $0.0 == place.kind }?.1)
            back.fill(place, secret)
        }

        #expect(Set(GroupChange.list(from: sent, to: back).filter { $0.before != $0.after }.map(\.what)) == [])
        let schemaFaults = try Schemas.faults(of: back) ?? []
        #expect(schemaFaults == [])
    }

    @Test("What nobody here knows, and nobody mentioned, stays")
    func unknown() throws {
        let text = """
            {"location":"westeurope","tags":{"a":"b"},"extendedLocation":{"x":1},"properties":{"osType":"Linux",
            "dnsConfig":{"nameServers":["10.0.0.10"]},"novelty":[1.5,null],"containers":[{"name":"web","properties":
            {"image":"old","securityContext":{"runAsUser":5},"resources":{"requests":{"cpu":1,"memoryInGB":1.5}},
            "environmentVariables":[{"name":"A","value":"1"},{"name":"B","value":"2"}]}}]}}
            """
        var wish = GroupWish()
        var container = ContainerWish()
        container.image = Groups.image
        container.environment = [.init("B", .plain("3"))]
        container.removedVariables = ["C"]
        wish.containers = [container]

        let group = ContainerGroup.merging(wish, into: try Groups.json(text), name: "web")

        #expect(group.json["extendedLocation"] == ["x": 1])
        #expect(group.json["properties"]?["dnsConfig"] == ["nameServers": ["10.0.0.10"]])
        #expect(group.json["properties"]?["novelty"] != nil)
        let properties = group.containers[0].json["properties"]
        #expect(properties?["securityContext"] == ["runAsUser": 5])
        #expect(properties?["environmentVariables"] == [["name": "A", "value": "1"], ["name": "B", "value": "3"]])
        #expect(group.containers[0].image == Groups.image)
    }

    @Test("What ARM decides alone is not sent back")
    func stateIsNotSent() throws {
        let read = try Groups.given(ContainerGroup.merging(Groups.small, into: nil, name: "web"))

        let text = read.writable.json.canonical

        for word in ["instanceView", "provisioningState", "fqdn", "20.1.2.3", "/subscriptions/s/x"] {
            #expect(!text.contains(word), "\(word)")
        }
    }

    @Test("Secrets that ARM never gives back are missed, each by its name")
    func missing() throws {
        let read = try Groups.given(ContainerGroup.merging(Groups.whole, into: nil, name: "web"))

        let merged = ContainerGroup.merging(GroupWish(), into: read, name: "web")

        #expect(
            merged.missingSecrets.map(\.text) == [
                "the secure variable DB_PASSWORD of the container web",
                "the password of build for the registry myacr.azurecr.io",
                "the key of the storage account acct, for the volume share-vol",
                "the files of the secret volume secret-vol",
            ]
        )
    }

    @Test("A variable that refers to a vault needs no secret, and the version that knows it")
    func references() throws {
        let group = try Groups.json(
            """
            {"properties":{"osType":"Linux","secretReferences":[{"name":"db"}],"containers":[{"name":"a","properties":
            {"image":"i","environmentVariables":[{"name":"A","secureValueReference":"db"}]}}]}}
            """
        )

        #expect(group.missingSecrets.isEmpty)
        #expect(group.apiVersion == "2025-09-01")
    }

    @Test("A group prints without its secrets, however it is printed")
    func redaction() {
        let group = ContainerGroup.merging(Groups.whole, into: nil, name: "web")
        var dumped = ""
        dump(group, to: &dumped)

        for text in ["\(group)", group.redacted.pretty, dumped, String(reflecting: group), "\(Groups.whole)"] {
            for secret in Groups.secrets { #expect(!text.contains(secret), "\(secret)") }
        }
    }

    @Test("Credentials of registries that no image needs go, and each registry has one")
    func credentials() throws {
        var wish = Groups.small
        wish.credentials.append(.password(server: "unused.azurecr.io", user: "x", SecureText("y")))
        wish.credentials.append(.identity(server: "MYACR.azurecr.io", id: "/pull"))

        let group = ContainerGroup.merging(wish, into: nil, name: "web")

        #expect(
            group.json["properties"]?["imageRegistryCredentials"]
                == [["server": "MYACR.azurecr.io", "identity": "/pull"]]
        )
        #expect(group.json["identity"] == ["type": "UserAssigned", "userAssignedIdentities": ["/pull": [:]]])
    }

    @Test(
        "Groups that Azure would refuse are named before they are sent",
        arguments: [
            ("Web", "the group's name \"Web\" has to be 1 to 63 lower-case letters"),
            ("web-", "the group's name \"web-\" has to be"),
            (String(repeating: "a", count: 64), "lower-case letters, digits and dashes"),
        ]
    )
    func names(name: String, fault: String) {
        let group = ContainerGroup.merging(Groups.small, into: nil, name: "web")

        #expect(GroupRules.faults(of: group, name: name).contains { $0.contains(fault) })
    }

    @Test("Limits of a group are held before it is sent")
    func limits() {
        var wish = Groups.whole
        wish.containers[0].cpu = 40
        wish.containers[1].memory = 0
        wish.containers[1].ports = [.init(8080)]
        wish.containers[0].environment.append(.init("a-b", .plain("")))
        wish.dnsLabel = "ab"
        wish.volumes.append(.init(name: "v--1", content: .empty))
        wish.containers[0].mounts.append(.init(volume: "nothing", path: "data"))
        wish.subnet = "/subnets/a"
        wish.restartPolicy = "Always"

        let faults = GroupRules.faults(of: ContainerGroup.merging(wish, into: nil, name: "web"), name: "web")

        for part in [
            "may have 31", "proxy has no memory", "two containers listen on port 8080", "the variable \"a-b\"",
            "the DNS label \"ab\"", "two dashes", "which the group does not have", "absolute path",
            "no DNS label",
        ] {
            #expect(faults.contains { $0.contains(part) }, "\(part): \(faults)")
        }
    }

    @Test("A port is a number up to 65535", arguments: ["0", "65536", "80:80", "80/sctp", "", "a"])
    func ports(text: String) {
        #expect(throws: ContentError.self) { try ContainerGroup.Port(text) }
    }
}
