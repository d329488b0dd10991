// SPDX-License-Identifier: Apache-2.0
import Azure
import Foundation
import OCI
import Testing

@testable import CoracleKit

@Suite("Flags of a deployment")
struct DeployWishTests {
    private func wish(_ environment: [String: String] = [:], _ change: (inout DeployOptions) -> Void) throws
        -> GroupWish
    {
        var options = DeployOptions()
        change(&options)
        return try DeployWish(options: options, environment: environment).group()
    }

    private func message(_ environment: [String: String] = [:], _ change: (inout DeployOptions) -> Void) throws
        -> String
    {
        try #require(throws: ExitReason.self) { try wish(environment, change) }.message
    }

    @Test("Every flag ends in the document, as the schema has it")
    func everything() throws {
        let wish = try wish(["HERE": "from here", "KEY": "storage-key"]) { options in
            options.location = "westeurope"
            options.ports = ["80,81", "53/udp"]
            options.environment = ["A=1", "HERE"]
            options.secureEnvironment = ["S=value", "KEY"]
            options.command = "sh -c \"echo 'a b'\""
            (options.cpu, options.memory, options.cpuLimit, options.memoryLimit) = ("1", "2GB", "2", "2.5")
            (options.restartPolicy, options.dnsLabel, options.dnsScope) = ("on-failure", "my-site", "tenant-reuse")
            options.identities = ["system", "/subscriptions/s/id"]
            options.volumes = [
                "type=emptyDir,name=scratch,target=/tmp/x", "scratch:/again:ro",
                "type=azureFile,name=share,target=/data,share=s,account=a,key=env:KEY,readonly",
                "type=gitRepo,name=source,target=/src,repository=https://example.com/a.git,revision=abc",
                "type=secret,name=files,target=/secrets,key=env:KEY",
            ]
            (options.liveness, options.readiness) = (
                "http:80/health,delay=5,period=10", "exec:cat \"/tmp/a,b\",timeout=2"
            )
            (options.zones, options.tags, options.sku) = (["1"], ["a=b=c"], "standard")
        }
        var complete = wish
        complete.containers[0].image = Groups.image
        let group = ContainerGroup.merging(complete, into: nil, name: "web")

        let faults = try Schemas.faults(of: group) ?? []
        #expect(faults == [])
        let properties = group.containers[0].json["properties"]
        #expect(properties?["command"]?.texts == ["sh", "-c", "echo 'a b'"])
        #expect(properties?["readinessProbe"]?["exec"]?["command"]?.texts == ["cat", "/tmp/a,b"])
        #expect(properties?["livenessProbe"]?["httpGet"]?["path"]?.string == "/health")
        #expect(properties?["environmentVariables"]?.array?.count == 4)
        #expect(group.tags == ["a": "b=c"])
        #expect(group.restartPolicy == "OnFailure")
        #expect(properties?["volumeMounts"]?.array?.count == 5)
        #expect(group.json["properties"]?["volumes"]?.array?.last?["secret"]?["key"]?.string == "c3RvcmFnZS1rZXk=")
    }

    @Test("Values that Azure would refuse later, or drop, are refused")
    func values() throws {
        #expect(try message { $0.zones = ["9"] } == "--zone \"9\" is not 1, 2 or 3")
        #expect(try message { $0.zones = ["x"] } == "--zone \"x\" is not 1, 2 or 3")
        #expect(try message { $0.subnet = "mine" } == "--subnet \"mine\" is no resource id")
        #expect(
            try message { ($0.reach, $0.dnsLabel) = ("none", "web") } == "--dns-label needs an address in the world"
        )
        #expect(
            try message { $0.liveness = "http:8080/x,delay=z" }
                == "--liveness \"http:8080/x,delay=z\": delay is not a whole number"
        )
    }

    @Test("A password in a URL is a secret as a name can be one")
    func secretURLs() {
        for text in ["URL=postgres://u:p@db/x", "A=amqp://:p@h", "DB_PASSWORD=x"] {
            #expect(SecretSource.looksSecret(text), "\(text)")
        }
        for text in ["URL=http://h:80/a@b", "URL=http://u@h/", "MAIL=a:b@c", "PLAIN=x", "SECRET"] {
            #expect(!SecretSource.looksSecret(text), "\(text)")
        }
    }

    @Test("What is wrong is named with its flag")
    func faults() throws {
        #expect(
            try message { $0.ports = ["8080:80"] }
                == "--port \"8080:80\" is not a port: expected a number up to 65535, and /udp for UDP; a container's port is also the one that others reach"
        )
        #expect(try message { $0.cpu = "many" } == "--cpu \"many\" is not a number, as 0.5")
        #expect(try message { $0.memory = "1024M" }.contains("number of gigabytes"))
        #expect(
            try message { $0.restartPolicy = "sometimes" }.hasPrefix("--restart-policy \"sometimes\" is not one of")
        )
        #expect(
            try message { $0.secureEnvironment = ["ABSENT"] }
                == "--secure-env ABSENT: the environment has no variable ABSENT"
        )
        #expect(try message { $0.volumes = ["type=nfs,name=a,target=/a"] } == "--volume: there is no type \"nfs\"")
        #expect(try message { $0.volumes = ["a:b"] }.contains("is not NAME:PATH[:ro]"))
        #expect(try message { $0.volumes = ["type=azureFile,name=a,target=/a,share=s"] }.hasSuffix("has no account=…"))
        #expect(try message { $0.liveness = "ping" } == "--liveness \"ping\" is no probe")
        #expect(try message { $0.identities = ["me"] }.contains("is no resource id"))
        #expect(try message { $0.command = "sh 'a" }.contains("ends within quotes"))
        #expect(try message { $0.tags = ["a"] } == "--tag \"a\" is not NAME=value")
    }

    @Test("A key that is written where it should be named is not repeated")
    func writtenKey() throws {
        let text = try message { $0.volumes = ["type=azureFile,name=vol,target=/a,share=s,account=a,key=hunter2"] }

        #expect(text == "--volume vol: a secret is named, not written")
    }

    @Test("A further container has flags of its own")
    func further() throws {
        let text = "name=proxy,image=nginx:1,port=8080,cpu=0.5,memory=0.5,env=A=1,\"command=sh -c 'a,b'\""
        let (wish, image) = try DeployWish(options: DeployOptions(), environment: [:]).further(text)

        #expect(image == "nginx:1")
        #expect(wish.name == "proxy")
        #expect(wish.command == ["sh", "-c", "a,b"])
        #expect(wish.ports?.map(\.number) == [8080])
    }

    @Test(
        "Words are taken apart as a shell does",
        arguments: [
            ("a  b", ["a", "b"]), ("'a b' c", ["a b", "c"]), ("a\\ b", ["a b"]),
            ("\"a \\\"b\\\" \\n\"", ["a \"b\" \\n"]),
            ("''", [""]), ("", []), ("a'b'c", ["abc"]), ("'a\\b'", ["a\\b"]),
        ]
    )
    func words(text: String, words: [String]) throws {
        #expect(try ShellWords.split(text, flag: "--command") == words)
    }

    @Test("Base64 is that of everybody", arguments: 0..<20)
    func base64(count: Int) {
        let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 * 83 + 7) }

        #expect(Base64Text.encode(bytes) == Data(bytes).base64EncodedString())
    }

    @Test("Logs that are given whole are shown once")
    func follower() {
        var follower = LogFollower()
        let long = (0..<500).map { "line \($0)\n" }.joined()

        #expect(follower.news(in: "a\n", isPart: false) == "a\n")
        #expect(follower.news(in: "a\nb\n", isPart: false) == "b\n")
        #expect(follower.news(in: "a\nb\n", isPart: false) == "")
        #expect(follower.news(in: "a\nb\n" + long, isPart: false) == long)
        // The beginning is gone.
        #expect(follower.news(in: String(long.suffix(3000)) + "new\n", isPart: false) == "new\n")
        // The container began anew.
        #expect(follower.news(in: "fresh\n", isPart: false) == "fresh\n")
    }
}
