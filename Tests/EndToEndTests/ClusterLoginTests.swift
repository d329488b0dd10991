// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

@Suite("Logging in to clusters and to their registries", .serialized, .waiting, .enabled(if: Containers.canRun))
struct ClusterLoginTests {
    /// What a kubeconfig of the emulator's says.
    private struct Access {
        let server: String
        let authority: String
        let token: String
        let certificate: String
        let key: String

        init(_ place: AzurePlace) throws {
            let line = try #require(
                place.log.split(whereSeparator: \.isNewline).first { $0.hasPrefix("KUBECONFIG_shop=") }
            )
            let text = try String(contentsOfFile: String(line.dropFirst("KUBECONFIG_shop=".count)), encoding: .utf8)
            func field(_ name: String) throws -> String {
                let line = try #require(text.split(separator: "\n").first { $0.contains("\(name): ") })
                return String(try #require(line.split(separator: " ").last))
            }
            (server, authority) = (try field("server"), try field("certificate-authority-data"))
            (token, certificate) = (try field("token"), try field("client-certificate-data"))
            key = try field("client-key-data")
        }

        /// A kubeconfig whose user is a program.
        func config(_ exec: String) -> String {
            """
            apiVersion: v1
            kind: Config
            current-context: c
            contexts: [{name: c, context: {cluster: k, user: u}}]
            clusters: [{name: k, cluster: {server: "\(server)", certificate-authority-data: \(authority)}}]
            users: [{name: u, user: {exec: {apiVersion: client.authentication.k8s.io/v1, \(exec)}}}]

            """
        }
    }

    private static let list = ["ps", "--kubeconfig", "config"]

    private func run(_ flags: [String] = [], _ body: (AzurePlace, Access) async throws -> Void) async throws {
        try await AzurePlace.run(["--cluster", "shop"] + flags) { place in try await body(place, try Access(place)) }
    }

    /// Writes a program, `$n` is how often it was asked; and the kubeconfig that names it.
    private func plugin(_ place: AzurePlace, _ access: Access, _ script: String, mode: String = "IfAvailable") throws {
        let file = place.root.appending(path: "login")
        try Program.install(
            "#!/bin/sh\ncd \(place.root.path)\necho x >> asked\nn=$(wc -l < asked)\n\(script)\n",
            at: file
        )
        try? FileManager.default.removeItem(at: place.root.appending(path: "asked"))
        try place.write(
            "config",
            access.config("command: \(file.path), args: [get-token], interactiveMode: \(mode), installHint: install me")
        )
    }

    private func asked(_ place: AzurePlace) -> Int {
        let text = (try? String(contentsOf: place.root.appending(path: "asked"), encoding: .utf8)) ?? ""
        return text.split(separator: "\n").count
    }

    private static func credential(_ status: String) -> String {
        #"echo '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{\#(status)}}'"#
    }

    @Test("A token is asked for once, and again where the cluster refuses it or its time is over")
    func token() async throws {
        try await run { place, access in
            let later = #""expirationTimestamp":"2099-01-01T00:00:00Z""#
            try plugin(place, access, Self.credential(#""token":"\#(access.token)",\#(later)"#))
            let once = try await place.coracle(Self.list)
            #expect(once.status == 0, "\(once.errors)")
            #expect(asked(place) == 1)

            let stale = Self.credential(#""token":"stale",\#(later)"#)
            let good = Self.credential(#""token":"\#(access.token)",\#(later)"#)
            try plugin(place, access, "if [ $n = 1 ]; then \(stale); else \(good); fi")
            let renewed = try await place.coracle(Self.list)
            #expect(renewed.status == 0, "\(renewed.errors)")
            #expect(asked(place) == 2, "once more, as the first was refused")

            try plugin(place, access, stale)
            let refused = try await place.coracle(Self.list)
            #expect(refused.status == 3, "\(refused.errors)")
            #expect(asked(place) == 2, "and not again and again")
            #expect(!refused.errors.contains("stale"), "\(refused.errors)")
        }
    }

    @Test("A certificate does as well as a token")
    func certificate() async throws {
        try await run { place, access in
            try place.write(
                "user.crt",
                String(decoding: try #require(Data(base64Encoded: access.certificate)), as: UTF8.self)
            )
            try place.write("user.key", String(decoding: try #require(Data(base64Encoded: access.key)), as: UTF8.self))
            let text = { (name: String) in "$(awk '{printf \"%s\\\\n\", $0}' \(name))" }
            let script = """
                cat <<EOF
                {"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":
                {"clientCertificateData":"\(text("user.crt"))","clientKeyData":"\(text("user.key"))"}}
                EOF
                """
            try plugin(place, access, script, mode: "Never")

            let list = try await place.coracle(Self.list)

            #expect(list.status == 0, "\(list.errors)")
            #expect(asked(place) == 1)
            try FileManager.default.removeItem(at: place.root.appending(path: "user.key"))
        }
    }

    @Test("A program that is not there, says no or wants to talk is named, with what to do")
    func faults() async throws {
        try await run { place, access in
            try plugin(place, access, "echo 'token=hush is over: az login' >&2; exit 4")
            let failed = try await place.coracle(Self.list)
            #expect(failed.status == 3)
            #expect(
                failed.errors.contains("the plug-in login ended with 4: token=*** is over: az login"),
                "\(failed.errors)"
            )
            #expect(!failed.errors.contains("hush"), "\(failed.errors)")

            try plugin(place, access, "exit 0", mode: "Always")
            let needy = try await place.coracle(Self.list)
            #expect(needy.status == 3)
            #expect(needy.errors.contains("wants to talk to somebody at a terminal"), "\(needy.errors)")
            #expect(asked(place) == 0)

            try place.write(
                "config",
                access.config("command: no-such-login, interactiveMode: Never, installHint: install me")
            )
            let absent = try await place.coracle(Self.list)
            #expect(absent.status == 3)
            #expect(absent.errors.contains("no-such-login is not in PATH"), "\(absent.errors)")
            #expect(absent.errors.contains("install me"), "\(absent.errors)")
        }
    }

    private static let deploy =
        ["deploy", "aks", "./site", "-n", "web", "--registry", "testacr", "--cluster", "shop", "-g", "demo"]
        + ShellBase.flags

    @Test("The identity of the nodes pulls once it may; before that the command which lets it is shown")
    func kubelet() async throws {
        try await run { place, _ in
            try place.site("page")
            let refused = try await place.coracle(Self.deploy + ["--pull-with", "kubelet"])
            #expect(refused.status == 5, "\(refused.errors)")
            #expect(
                refused.errors.contains("az aks update --resource-group demo --name shop --attach-acr testacr"),
                "\(refused.errors)"
            )

            let registry =
                "/subscriptions/\(AzurePlace.subscription)/resourceGroups/demo/providers/"
                + "Microsoft.ContainerRegistry/registries/testacr"
            let known = try await place.arm(
                "GET",
                "Microsoft.ContainerService/managedClusters/shop",
                version: "2025-05-01"
            )
            let identity = try JSON(parsing: known.text)["properties"]["identityProfile"]["kubeletidentity"]
            let principal = try #require(identity["objectId"].string, "\(known.text)")
            let role =
                "/subscriptions/\(AzurePlace.subscription)/providers/Microsoft.Authorization/roleDefinitions/"
                + "7f951dda-4ed3-4680-a7ca-43fe172d538d"
            let granted = try await place.arm(
                "PUT",
                registry + "/providers/Microsoft.Authorization/roleAssignments/44444444-4444-4444-8444-444444444444",
                """
                {"properties": {"principalId": "\(principal)", "principalType": "ServicePrincipal",
                "roleDefinitionId": "\(role)"}}
                """,
                version: "2022-04-01"
            )
            try #require(granted.status == 201, "\(granted.text)")
            let deployed = try await place.coracle(Self.deploy + ["--pull-with", "kubelet"])
            #expect(deployed.status == 0, "\(deployed.errors)")
            // On a machine that is slow the kubelet tried again by itself before deploy looked.
            let isTooLate = deployed.errors.contains("web is as it should be: nothing to do")
            #expect(isTooLate || deployed.errors.contains("which waits since before (ImagePullBackOff), for a new one"))
            let manifests = try await place.coracle(Self.deploy + ["--pull-with", "kubelet", "--dry-run", "--json"])
            #expect(!manifests.output.contains("imagePullSecrets"), "it needs no secret")
        }
    }

    @Test("The admin user of a registry pulls where it is on")
    func admin() async throws {
        try await run { place, _ in
            try place.site("page")
            let deployed = try await place.coracle(Self.deploy + ["--pull-with", "admin"])
            #expect(deployed.status == 0, "\(deployed.errors)")
            let again = try await place.coracle(Self.deploy + ["--pull-with", "admin", "--dry-run"])
            #expect(again.output.contains("nothing to do"), "\(again.output)\(again.errors)")
            let off = try await place.arm(
                "PATCH",
                "Microsoft.ContainerRegistry/registries/testacr",
                #"{"properties": {"adminUserEnabled": false}}"#,
                version: "2023-07-01"
            )
            #expect(off.status < 300, "\(off.text)")
            let refused = try await place.coracle(Self.deploy + ["--pull-with", "admin"])
            #expect(refused.status == 3, "\(refused.errors)")
            #expect(refused.errors.contains("has no admin user"), "\(refused.errors)")
            #expect(refused.errors.contains("--pull-with kubelet"), "\(refused.errors)")
            _ = try await place.arm(
                "PATCH",
                "Microsoft.ContainerRegistry/registries/testacr",
                #"{"properties": {"adminUserEnabled": true}}"#,
                version: "2023-07-01"
            )
        }
    }
}
