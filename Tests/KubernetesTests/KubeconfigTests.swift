// SPDX-License-Identifier: Apache-2.0
import Foundation
import HTTP
import OCI
import TestSupport
import Testing

@testable import Kubernetes

@Suite("Kubeconfigs")
struct KubeconfigTests {
    private static let first = """
        apiVersion: v1
        kind: Config
        clusters:
        - name: one
          cluster: {server: "https://one.example.com:6443", certificate-authority-data: QUJD}
        contexts:
        - name: one
          context: {cluster: one, user: anna, namespace: shop}
        - name: lost
          context: {cluster: nowhere, user: anna}
        users:
        - name: anna
          user: {token: first-token}
        """
    private static let second = """
        current-context: two
        clusters:
        - {name: one, cluster: {server: "https://other.example.com"}}
        - {name: two, cluster: {server: "https://two.example.com", tls-server-name: kube, proxy-url: "http://p:3128"}}
        contexts:
        - {name: two, context: {cluster: two, user: ben}}
        - {name: one, context: {cluster: two, user: ben}}
        users:
        - {name: anna, user: {token: second-token, username: anna}}
        - {name: ben, user: {username: ben, password: "007"}}
        """

    private func token(_ access: ClusterAccess) -> String? {
        if case .token(let token) = access.credentials { token } else { nil }
    }

    @Test("Of several files the first that has an entry counts, whole; files that are not there are left out")
    func merge() throws {
        let folder = try TemporaryFolder()
        let one = try folder.write("a", Self.first).path
        let two = try folder.write("b", Self.second).path
        let list = "\(one):\(folder.url.path)/none::\(two):\(one)"

        let config = try Kubeconfig.load(environment: ["KUBECONFIG": list, "HOME": "/nowhere"])

        #expect(config.files == [one, two])
        #expect(config.currentContext == "two")
        #expect(config.contextNames == ["lost", "one", "two"])
        let access = try config.access(context: "one")
        #expect(access.server.text == "https://one.example.com:6443/")
        #expect(access.namespace == "shop")
        #expect(token(access) == "first-token")
        #expect(access.authority == Array("ABC".utf8))
        let current = try config.access(namespace: "other")
        #expect(current.namespace == "other")
        #expect(current.serverName == "kube")
        #expect(current.proxy == "http://p:3128")
        guard case .basic("ben", "007") = current.credentials else {
            Issue.record("the password is text, whatever it looks like")
            return
        }
    }

    @Test("kubectl merges the same files to the same", .enabled(if: Program.named("kubectl") != nil))
    func likeKubectl() throws {
        let kubectl = try #require(Program.named("kubectl"))
        let folder = try TemporaryFolder()
        let list = "\(try folder.write("a", Self.first).path):\(try folder.write("b", Self.second).path)"
        let config = try Kubeconfig.load(environment: ["KUBECONFIG": list])

        for context in ["one", "two"] {
            let arguments = ["config", "view", "--raw", "--minify", "--context", context, "--output", "json"]
            let shown = try Program.run(arguments, of: kubectl, environment: ["KUBECONFIG": list])
            let json = try JSONValue.of(shown.output)
            let access = try config.access(context: context)

            let cluster = json["clusters"]?.array?.first?["cluster"]
            #expect(cluster?["server"]?.string.map { $0 + "/" } == access.server.text)
            #expect(cluster?["tls-server-name"]?.string == access.serverName)
            #expect(json["users"]?.array?.first?["user"]?["token"]?.string == token(access))
            #expect(json["contexts"]?.array?.first?["context"]?["namespace"]?.string ?? "default" == access.namespace)
        }
    }

    @Test("Paths are seen from the folder of their file")
    func paths() throws {
        let folder = try TemporaryFolder()
        try folder.write("pki/ca.pem", "authority")
        try folder.write("pki/me.pem", "certificate")
        try folder.write("pki/me.key", "key")
        let file = try folder.write(
            "config",
            """
            current-context: c
            clusters: [{name: c, cluster: {server: "https://h", certificate-authority: pki/ca.pem}}]
            contexts: [{name: c, context: {cluster: c, user: u}}]
            users: [{name: u, user: {client-certificate: pki/me.pem, client-key: pki/me.key, tokenFile: tok}}]
            """
        )

        let access = try Kubeconfig.load(file.path, environment: [:]).access()

        #expect(access.authority == Array("authority".utf8))
        #expect(access.certificate == .init(certificate: Array("certificate".utf8), key: Array("key".utf8)))
        guard case .tokenFile(let path) = access.credentials else {
            Issue.record("tokenFile is read again for each request")
            return
        }
        #expect(path == folder.url.path + "/tok")
    }

    @Test("A plug-in is read as it is written, and the old provider of Azure is kubelogin")
    func plugins() throws {
        let text = """
            current-context: c
            clusters: [{name: c, cluster: {server: "https://h"}}]
            contexts: [{name: c, context: {cluster: c, user: exec}}, {name: old, context: {cluster: c, user: old}}]
            users:
            - name: exec
              user:
                exec:
                  apiVersion: client.authentication.k8s.io/v1beta1
                  command: bin/kubelogin
                  args: [get-token, --server-id, "6dae42f8"]
                  env: [{name: A, value: "1"}]
                  installHint: get it
                  interactiveMode: Never
                  provideClusterInfo: true
            - name: old
              user: {auth-provider: {name: azure, config: {apiserver-id: s, tenant-id: t}}}
            """
        let config = try Kubeconfig(parsing: text, file: "/home/anna/.kube/config")

        guard case .plugin(let plugin) = try config.access().credentials,
            case .plugin(let old) = try config.access(context: "old").credentials
        else {
            Issue.record("both are plug-ins")
            return
        }
        #expect(plugin.command == "/home/anna/.kube/bin/kubelogin")
        #expect(plugin.name == "kubelogin")
        #expect(plugin.arguments == ["get-token", "--server-id", "6dae42f8"])
        #expect(plugin.environment == ["A": "1"])
        #expect(plugin.interaction == "Never")
        #expect(plugin.wantsCluster)
        #expect(old.arguments == ["get-token", "--server-id", "s", "--tenant-id", "t"])
    }

    @Test(
        "What cannot be used is named, with the file and without secrets",
        arguments: [
            ("a: [", nil, "the kubeconfig F: line 2, column 1 is no YAML: "),
            ("kind: Deployment", nil, "the kubeconfig F: it is a Deployment, no Config"),
            ("clusters: {a: b}", nil, "the kubeconfig F: clusters is no list"),
            ("users: [{user: {token: hush}}]", nil, "the kubeconfig F: a user has no name"),
            ("", nil, "F: there is no current context"),
            ("contexts: [{name: a, context: {cluster: c}}]", nil, "F: there is no current context; there are a"),
            ("contexts: [{name: a, context: {cluster: c}}]", "b", "F: there is no context \"b\"; there are a"),
            (
                "contexts: [{name: a, context: {cluster: c, user: u}}]", "a",
                "F: the context a is of the cluster \"c\", which is not there"
            ),
            (
                "contexts: [{name: a, context: {cluster: c, user: u}}]\nclusters: [{name: c, cluster: {}}]", "a",
                "F: the context a is of the user \"u\", who is not there"
            ),
            (
                user("{token: hush, username: me}"), "a",
                "F: the user u has a token, and a name and password: one of both"
            ),
            (
                user("{client-certificate-data: aHVzaA==}"), "a",
                "F: the user u has a client-certificate or a client-key, and needs both"
            ),
            (user("{client-key-data: '%hush%'}"), "a", "the kubeconfig F: the user u: client-key-data is not base64"),
            (
                user("{exec: {command: x, apiVersion: client.authentication.k8s.io/v0}}"), "a",
                "the kubeconfig F: the user u: exec has the apiVersion"
            ),
            (
                user("{exec: {apiVersion: client.authentication.k8s.io/v1}}"), "a",
                "the kubeconfig F: the user u: exec has no command"
            ),
            (
                user("{auth-provider: {name: gcp, config: {access-token: hush}}}"), "a",
                "F: the user u has the auth-provider \"gcp\", which kubectl dropped too"
            ),
            (
                user("{}")
                    .replacing(
                        "server: https://h",
                        with: "server: https://h, insecure-skip-tls-verify: true, certificate-authority-data: QQ=="
                    ),
                "a", "F: the cluster c has a certificate-authority, and insecure-skip-tls-verify: one of both"
            ),
            (
                user("{}").replacing("server: https://h", with: "server: https://h, proxy-url: socks5://me:hush@p"),
                "a",
                "F: the proxy-url of the cluster c does not begin with http://, and no other is spoken"
            ),
            (user("{}").replacing("https://h", with: "ssh://h"), "a", "F: the server of the cluster c: "),
        ]
    )
    func faults(text: String, context: String?, message: String) throws {
        let error = try #require(throws: KubernetesError.self) {
            try Kubeconfig(parsing: text, file: "F").access(context: context)
        }

        #expect(error.message.hasPrefix(message))
        #expect(error.code == .settings)
        #expect(error.hint != nil)
        #expect(!"\(error)".contains("hush"))
    }

    private static func user(_ user: String) -> String {
        """
        clusters: [{name: c, cluster: {server: https://h}}]
        contexts: [{name: a, context: {cluster: c, user: u}}]
        users: [{name: u, user: \(user)}]
        """
    }

    @Test("A file that is named must be there; none at all says how to get one")
    func absent() throws {
        let named = try #require(throws: KubernetesError.self) {
            try Kubeconfig.load("/nowhere/config", environment: [:])
        }
        #expect(named.message == "there is no kubeconfig /nowhere/config")

        let none = try #require(throws: KubernetesError.self) {
            try Kubeconfig.load(environment: ["HOME": "/nowhere"]).access()
        }
        #expect(none.message == "there is no kubeconfig")
        #expect(none.hint?.hasPrefix("az aks get-credentials") == true)
    }

    @Test("JSON is a kubeconfig too")
    func json() throws {
        let text = """
            {"kind":"Config","current-context":"c","clusters":[{"name":"c","cluster":{"server":"https://h/k8s/x/"}}],
            "contexts":[{"name":"c","context":{"cluster":"c","user":""}}]}
            """
        let access = try Kubeconfig(parsing: text, file: "F").access()

        #expect(access.server.text == "https://h/k8s/x/")
        #expect(try access.server.under("/version").text == "https://h/k8s/x/version")
    }

    @Test("The account of a pod is found by its files")
    func pod() throws {
        let folder = try TemporaryFolder()
        try folder.write("token", "abc\n")
        try folder.write("namespace", "build")
        try folder.write("ca.crt", "authority")
        let environment = [
            "KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "443",
            "CORACLE_SERVICE_ACCOUNT": folder.url.path,
        ]

        let access = try #require(try ClusterAccess.ofPod(environment: environment))

        #expect(access.server.text == "https://[fd00::1]/")
        #expect(access.namespace == "build")
        #expect(access.authority == Array("authority".utf8))
        let outside = try ClusterAccess.ofPod(environment: [:])
        #expect(outside?.namespace == nil)
    }
}
