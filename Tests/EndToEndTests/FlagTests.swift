// SPDX-License-Identifier: Apache-2.0
import Foundation
import Glibc
import TestSupport
import Testing

/// What the command line says before anybody is asked: no network, no container.
@Suite("Flags and what they need")
struct FlagTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func coracle(_ words: [String], _ more: [String: String] = [:]) throws -> Program {
        let usual = ["HOME": folder.url.path, "CORACLE_STORE": folder.url.path + "/store", "AZURE_CLIENT_ID": ""]
        return try Program.run(words, in: folder.url, environment: usual.merging(more) { $1 })
    }

    @Test(
        "A command that only has others says which, on standard error, and ends with 2",
        arguments: ["", "deploy", "registry"]
    )
    func parents(name: String) throws {
        let words = name.isEmpty ? [] : [name]

        let alone = try coracle(words)
        let asked = try coracle(words + ["--help"])

        #expect(alone.status == 2)
        #expect(alone.output == "")
        #expect(alone.errors.contains("SUBCOMMANDS:"), "\(alone.errors)")
        #expect(asked.status == 0)
        #expect(asked.output.contains("SUBCOMMANDS:") && asked.errors == "", "\(asked.errors)")
    }

    @Test("--ca names its file and what is wrong with it, before anything is done")
    func authorities() throws {
        try folder.write("junk.pem", "nothing")
        try folder.write("broken.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
        let faults = [
            ("/nope", "--ca /nope: no such file or directory"),
            (folder.url.path, "--ca \(folder.url.path): is a directory"),
            ("junk.pem", "--ca junk.pem: there is no certificate in it"),
            ("broken.pem", "--ca broken.pem: a certificate in it cannot be read"),
        ]
        for (file, message) in faults {
            for words in [
                ["pull", "127.0.0.1:9/x"], ["login", "127.0.0.1:9"], ["ps", "-g", "demo"], ["build", "."],
            ] {
                let run = try coracle(words + ["--ca", file])
                #expect(run.status == 2, "\(words) \(run.errors)")
                #expect(run.errors.contains("coracle: error: \(message)"), "\(words) \(run.errors)")
                #expect(run.errors.contains("-----BEGIN CERTIFICATE-----"), "what is wanted: \(run.errors)")
            }
        }
        let system = try coracle(["pull", "example.invalid/x"], ["SSL_CERT_FILE": "/nope"])
        #expect(system.status == 2, "\(system.errors)")
        #expect(system.errors.contains("SSL_CERT_FILE /nope: no such file or directory"), "\(system.errors)")
        let azure = try coracle(
            ["ps", "-g", "demo"],
            [
                "SSL_CERT_FILE": "/nope", "AZURE_CLIENT_ID": "a", "AZURE_TENANT_ID": "b", "AZURE_CLIENT_SECRET": "c",
                "AZURE_SUBSCRIPTION_ID": "d", "CORACLE_AZURE_CLOUD": "AzureCloud",
            ]
        )
        #expect(azure.status == 2, "\(azure.errors)")
    }

    @Test("A client certificate of a kubeconfig that cannot be used is named with its file and user")
    func clientCertificate() throws {
        let junk = Data("junk".utf8).base64EncodedString()
        let text = """
            apiVersion: v1
            kind: Config
            current-context: c
            clusters: [{name: k, cluster: {server: "https://127.0.0.1:9"}}]
            users: [{name: anna, user: {client-certificate-data: \(junk), client-key-data: \(junk)}}]
            contexts: [{name: c, context: {cluster: k, user: anna}}]
            """
        let file = try folder.write("config", text).path

        for words in [["ps"], ["deploy", "aks", "127.0.0.1:9/app:1", "-n", "web"]] {
            let run = try coracle(words + ["--kubeconfig", file])

            #expect(run.status == 3, "\(run.errors)")
            #expect(run.errors.contains("\(file): the user anna has a client certificate"), "\(run.errors)")
            #expect(run.errors.contains("   hint: "), "\(run.errors)")
            #expect(!run.errors.contains(junk) && !run.errors.contains("junk"))
        }
        let authority = text.replacing("server:", with: "certificate-authority-data: \(junk), server:")
        try folder.write("config", authority)
        let run = try coracle(["ps", "--kubeconfig", file])
        #expect(run.status == 2, "\(run.errors)")
        #expect(run.errors.contains("\(file): the certificate-authority of the cluster k"), "\(run.errors)")
    }

    @Test("A setting that is said twice is named with both lines")
    func duplicates() throws {
        try folder.write("coracle.yaml", "name: a\nport:\n  - 80\nregistry: r\nname: b\nregistry: s\n")

        for verb in ["up", "logs"] {
            let run = try coracle([verb])

            #expect(run.status == 2)
            #expect(
                run.errors.contains("coracle: error: coracle.yaml:5: \"name\" is said twice, first in line 1"),
                "\(run.errors)"
            )
        }
    }

    @Test("Flags of verbs that do nothing there are refused, with what does something")
    func verbs() throws {
        let faults: [([String], String)] = [
            (["ps", "--local", "-g", "demo"], "--local and --resource-group are given both"),
            (["ps", "--local", "--name", "web"], "--local and --name are given both"),
            (["ps", "--local", "--cluster", "shop"], "--local and --cluster are given both"),
            (["ps", "-q", "--format", "json"], "--quiet and --format are given both"),
            (["ps", "-g", "demo", "--container", "zz"], "--container is of coracle logs and coracle exec"),
            (["ps", "--container", "zz"], "--container is of coracle logs and coracle exec"),
            (["stop", "-g", "demo", "--name", "web", "--container", "zz"], "--container is of coracle logs"),
            (["start", "-g", "demo", "--name", "web", "--container", "zz"], "--container is of coracle logs"),
            (["down", "-g", "demo", "--name", "web", "--container", "zz"], "--container is of coracle logs"),
            (["stop", "-g", "demo", "--name", "web", "--rm"], "--rm is of containers of this machine"),
            (["stop", "-g", "demo", "--name", "web", "-t", "3"], "--time is of containers of this machine"),
            (["down", "-g", "demo", "--name", "web", "--admin"], "--admin needs a cluster of Azure"),
        ]
        for (words, message) in faults {
            let run = try coracle(words)
            #expect(run.status == 2, "\(words): \(run.errors)")
            #expect(run.errors.contains("coracle: error: \(message)"), "\(words): \(run.errors)")
            #expect(run.errors.contains("   hint: "), "\(words): \(run.errors)")
        }
    }

    @Test("Flags of deployments that do nothing are refused, with what they need")
    func deployments() throws {
        let group = ["deploy", "aci", "127.0.0.1:9/app:1", "-g", "demo", "-n", "web"]
        let cluster = ["deploy", "aks", "127.0.0.1:9/app:1", "-n", "web", "--emit", "k8s"]
        let faults: [([String], String)] = [
            (group + ["--build-arg", "A=1"], "--build-arg is about a build, and an image is named"),
            (group + ["--file", "Dockerfile"], "--file is about a build, and an image is named"),
            (cluster + ["--build-target", "x"], "--build-target is about a build, and an image is named"),
            (group + ["--registry", "myacr"], "--registry is about a build, and an image is named"),
            (group + ["--secret-source", "vol"], "--secret-source \"vol\" is not NAME=env:VARIABLE"),
            (group + ["--secret-source", "vol=hunter2"], "--secret-source vol: a secret is named, not written"),
            (cluster + ["--annotation", "ingress:a/b=c"], "--annotation \"ingress:a/b\" is given, and no --ingress"),
            (
                cluster + ["--annotation", "service:a/b=c", "--ip", "none"],
                "--annotation \"service:a/b\" is given, and --ip none leaves the Service out"
            ),
            (cluster + ["--dns-label", "shop", "--ip", "none"], "--dns-label needs an address in the world"),
            (
                cluster + ["--service-name", "shop", "--ip", "none"],
                "--service-name is given, and --ip none leaves the Service out"
            ),
            (cluster + ["--cap-add", "NET_RAV"], "--cap-add \"NET_RAV\" is no capability, did you mean \"NET_RAW\"?"),
            (cluster + ["--cap-add", "FOO"], "--cap-add \"FOO\" is no capability"),
            (["up", "--image", "127.0.0.1:9/app:1", "--target", "aks", "--recreate"], "--recreate is of Container"),
            (["up", "--image", "127.0.0.1:9/app:1", "-g", "x", "--force-conflicts"], "--force-conflicts is of Kuber"),
        ]
        for (words, message) in faults {
            let run = try coracle(words)
            #expect(run.status == 2, "\(words): \(run.errors)")
            #expect(run.errors.contains("coracle: error: \(message)"), "\(words): \(run.errors)")
            #expect(!run.errors.contains("hunter2"))
        }
    }

    @Test("The help of each target speaks of that target only")
    func help() throws {
        let (aci, aks) = (try coracle(["deploy", "aci", "--help"]), try coracle(["deploy", "aks", "--help"]))

        #expect(aci.status == 0 && aks.status == 0)
        for word in ["Kubernetes", "configMap", "tcp:PORT", "manifest", "k8s", "compose", "claim="] {
            #expect(!aci.output.contains(word), "\(word)")
        }
        for word in ["Container Instances", "azureFile", "gitRepo", "bicep", "compose"] {
            #expect(!aks.output.contains(word), "\(word)")
        }
        for word in ["gitRepo", "http:PORT", "arm, bicep"] { #expect(aci.output.contains(word), "\(word)") }
        for word in ["configMap", "tcp:PORT", "SERVICE:PORT", "k8s"] { #expect(aks.output.contains(word), "\(word)") }
        let up = try coracle(["up", "--help"])
        for word in ["gitRepo", "configMap", "compose", "k8s"] { #expect(up.output.contains(word), "\(word)") }
    }

    @Test("exec takes everything behind its words, and still has help")
    func execHelp() throws {
        for flag in ["--help", "-h"] {
            let run = try coracle(["exec", flag])
            #expect(run.status == 0)
            #expect(run.output.hasPrefix("OVERVIEW: Run a command, or a shell"), "\(run.output)\(run.errors)")
        }
        let unknown = try coracle(["exec", "--nonsense"])
        #expect(unknown.status == 2)
        #expect(unknown.errors.contains("coracle exec has no option --nonsense"), "\(unknown.errors)")
    }

    @Test("A failure is JSON for who reads JSON, and words on standard error for everybody else")
    func failures() throws {
        for words in [["deploy", "aci"], ["deploy", "aks", "--emit", "k8s"]] {
            let run = try coracle(words + ["127.0.0.1:9/app:1", "--json"])

            #expect(run.status == 2)
            let json = try JSON(parsing: run.output)
            #expect(json["outcome"].string == "failed")
            let cause = try #require(json["cause"].string)
            #expect(run.errors == "coracle: error: \(cause)\n   hint: \(json["hint"].string ?? "")\n")
            #expect(run.output.filter { $0 == "\n" }.count == 1, "one line")
        }
        let quiet = try coracle(["deploy", "aci", "127.0.0.1:9/app:1", "--quiet"])
        #expect(quiet.output == "")
        #expect(quiet.errors.hasPrefix("coracle: error: "), "\(quiet.errors)")
        try folder.write("site/Dockerfile", "FROM scratch\nCOPI a b\n")
        for progress in [["--quiet"], ["--progress", "json"], ["--quiet", "--json"]] {
            let build = try coracle(
                ["deploy", "aks", "./site", "-n", "web", "--emit", "k8s", "--registry", "127.0.0.1:9"] + progress
            )
            #expect(build.status == 2, "\(build.errors)")
            #expect(build.errors.contains("COPI"), "\(progress): \(build.errors)")
            if progress.contains("json") {
                for line in build.errors.split(separator: "\n") {
                    #expect((try? JSON(parsing: String(line))) != nil, "no JSON: \(line)")
                }
            }
        }
    }
}
