// SPDX-License-Identifier: Apache-2.0
import Foundation
import OCI
import Store
import TestSupport
import Testing

/// The verbs over the store as a person or a pipeline runs them.
@Suite struct StoreVerbsTests {
    let folder: TemporaryFolder
    let store: ImageStore

    init() throws {
        folder = try TemporaryFolder()
        store = try ImageStore(folder.url.appending(path: "store").path)
    }

    private func coracle(_ arguments: String...) throws -> Program {
        try Program.run(arguments, environment: ["CORACLE_STORE": store.root])
    }

    private func image(_ name: String) throws {
        var config = ImageConfig(platform: Platform(os: "linux", architecture: "amd64"))
        config.environment = ["NAME=\(name)"]
        let manifest = Manifest(config: try store.put(config.document, .config), layers: [])
        try store.tag(try store.put(manifest.document, .manifest), as: try ImageReference(name))
    }

    @Test func anImageIsListedNamedShownAndRemoved() throws {
        try image("app")

        let tag = try coracle("tag", "app", "app:v1")
        let list = try coracle("images", "--format", "json")
        let inspect = try coracle("inspect", "app:v1", "--format", "json")
        let layout = try coracle("inspect", "oci-layout://\(store.root):v1")
        let remove = try coracle("rmi", "app", "app:v1")

        #expect(tag.status == 0 && tag.output == "app:v1\n" && tag.errors == "")
        #expect(try JSON(parsing: list.output)["images"].array.count == 2)
        #expect(try JSON(parsing: inspect.output)["images"].array.first?["platform"].string == "linux/amd64")
        #expect(layout.status == 0 && layout.output.contains("env       NAME=app"))
        #expect(remove.status == 0 && remove.output == "app:latest\napp:v1\n")
        #expect(try coracle("images").output == "NAME  DIGEST  PLATFORM  CREATED  SIZE\n")
        let prune = try coracle("prune", "--max-size", "20GB", "--older-than", "7d")
        #expect(prune.status == 0 && prune.output.hasPrefix("removed 2 blobs; "))
        #expect(try JSON(parsing: coracle("du", "--format", "json").output)["images"]["size"].int == 0)
    }

    @Test func noNameIsLostWhenManyProcessesTagAtOnce() throws {
        try image("app")
        let root = store.root
        DispatchQueue.concurrentPerform(iterations: 16) { number in
            _ = try? Program.run(["tag", "app", "app:v\(number)"], environment: ["CORACLE_STORE": root])
        }
        #expect(try store.images().count == 17)
    }

    @Test func aWrongNameEndsWith2() throws {
        try image("hello")
        let result = try coracle("inspect", "helo")
        #expect(result.status == 2 && result.output == "")
        #expect(
            result.errors == """
                coracle: error: no image is called "helo:latest"; similar: "hello:latest"
                   hint: coracle images lists all of them

                """
        )
    }

    @Test func wrongUsageEndsWith2() throws {
        for arguments in [
            ["prune", "--max-size", "20XB"], ["prune", "--older-than", "7"], ["tag", "a"], ["rm"], ["images", "x"],
            ["inspect"], ["du", "--format", "xml"], ["tag", "a", "B"], ["rm", "no such"],
        ] {
            let result = try Program.run(arguments, environment: ["CORACLE_STORE": store.root])
            #expect(result.status == 2, "\(arguments): \(result.errors)")
            #expect(!result.errors.isEmpty)
        }
    }

    @Test func theFlagGoesBeforeTheEnvironment() throws {
        try image("app")
        let other = folder.url.appending(path: "other").path
        #expect(try !coracle("images", "--store", other).output.contains("app"))
        #expect(try Program.run(["images", "--store", store.root]).output.contains("app:latest"))
    }

    @Test func aStoreThatIsNotThereIsSaid() throws {
        let list = try coracle("images", "--store", "/not/there")

        #expect(list.status == 0 && list.errors == "coracle: there is no store at /not/there\n")
        #expect(!FileManager.default.fileExists(atPath: "/not"))
    }

    @Test func quietListsDigestsForOtherCommands() throws {
        try image("app")
        try image("other")

        let short = try coracle("images", "-q").output.split(separator: "\n")
        let whole = try coracle("images", "-q", "--digests").output.split(separator: "\n")

        #expect(short.count == 2 && short.allSatisfy { $0.count == 12 })
        #expect(whole.allSatisfy { $0.hasPrefix("sha256:") && $0.count == 71 })
        #expect(try coracle("inspect", String(short[0])).status == 0)
        #expect(try coracle("images", "-q", "--format", "json").status == 2)
    }

    @Test(.enabled(if: Program.named("skopeo") != nil))
    func otherToolsKnowTheNames() throws {
        try image("app:v1")
        let skopeo = try #require(Program.named("skopeo"))
        let copied = folder.url.appending(path: "copy").path
        let copy = try Program.run(["copy", "oci:\(store.root):app:v1", "oci:\(copied):new"], of: skopeo)
        #expect(copy.status == 0, "\(copy.errors)")
        let inspect = try coracle("inspect", "oci-layout://\(copied):new")
        #expect(inspect.status == 0 && inspect.output.contains("NAME=app:v1"), "\(inspect.errors)")
    }

    @Test(
        "A page of help names the whole command",
        arguments: ["build", "deploy", "deploy aci", "registry serve", "du"]
    )
    func helpIsWhole(verb: String) throws {
        let words = verb.split(separator: " ").map(String.init)
        for arguments in [words + ["--help"], words + ["-h"], ["help"] + words] {
            let help = try Program.run(arguments)
            #expect(help.status == 0)
            #expect(help.output.contains("\nUSAGE: coracle \(verb) "), "\(arguments): \(help.output)")
        }
    }

    @Test(arguments: ["images", "tag", "inspect", "rm", "prune", "du"])
    func everyVerbHasAHelpPage(verb: String) throws {
        let help = try coracle(verb, "--help")
        #expect(help.status == 0)
        #expect(help.output.contains("OVERVIEW:") && help.output.contains("--store <folder>"))
    }
}
