// SPDX-License-Identifier: Apache-2.0
import Archive
import CoracleKit
import Foundation
import OCI
import Store
import TestSupport
import Testing

/// images, tag, inspect, rm, prune and du over a store.
@Suite struct StoreVerbTests {
    let folder: TemporaryFolder
    let store: ImageStore
    let workspace: Workspace

    init() throws {
        folder = try TemporaryFolder()
        store = try ImageStore(folder.url.appending(path: "store").path)
        workspace = try Workspace(store: store.root, environment: [:])
    }

    /// An image of one layer for a platform.
    private func image(
        _ architecture: String = "amd64",
        layer: UInt8 = 1,
        created: String = "1970-01-01T00:00:00Z",
        labels: [String: String] = [:]
    ) throws -> Descriptor {
        let blob = try store.put([UInt8](repeating: layer, count: 2000), .layerGzip)
        var config = ImageConfig(platform: Platform(os: "linux", architecture: architecture))
        config.diffIDs = [SHA256.digest([layer])]
        config.history = [
            ImageConfig.History(createdBy: "ENV A=1", comment: "", isEmptyLayer: true),
            ImageConfig.History(createdBy: "COPY \(layer) /\u{1B}[31m", comment: "", isEmptyLayer: false),
        ]
        (config.created, config.command, config.environment) = (created, ["/x"], ["A=1"])
        config.labels = labels
        let manifest = Manifest(config: try store.put(config.document, .config), layers: [blob])
        return try store.put(manifest.document, .manifest)
    }

    private func tag(_ image: Descriptor, _ name: String) throws { try store.tag(image, as: try ImageReference(name)) }

    private func fault(_ body: () throws -> Void) throws -> ExitReason {
        try #require(throws: ExitReason.self, performing: body)
    }

    private func names() throws -> [String] {
        try JSON(parsing: ListImages(workspace).run(.json))["images"].array.compactMap { $0["name"].string }
    }

    @Test(
        "Filters are those of docker images",
        arguments: [
            (["dangling=false"], "app:1 host/team/web:2 old:1"), (["dangling=true"], ""),
            (["label=tier"], "app:1 host/team/web:2"), (["label=tier=web"], "host/team/web:2"),
            (["label=tier", "label=x=1"], "app:1"), (["reference=app"], "app:1"), (["reference=*:1"], "app:1 old:1"),
            (["reference=host/*/web", "reference=old:*"], "host/team/web:2 old:1"), (["reference=*"], "app:1 old:1"),
            (["before=app:1"], "old:1"), (["since=old:1"], "app:1 host/team/web:2"),
            (["since=old:1", "before=host/team/web:2"], "app:1"),
        ]
    )
    func filters(filters: [String], names: String) throws {
        try tag(try image(created: "2026-01-01T00:00:00Z", labels: ["tier": "back", "x": "1"]), "app:1")
        try tag(try image(layer: 2, created: "2026-01-01T01:00:00+00:30", labels: ["tier": "web"]), "host/team/web:2")
        try tag(try image(layer: 3, created: "2025-01-01T00:00:00.5Z"), "old:1")
        var list = ListImages(workspace)
        list.filters = filters

        let found = try JSON(parsing: list.run(.json))["images"].array.map { $0["name"].string ?? "-" }.sorted()

        #expect(found.joined(separator: " ") == names)
    }

    @Test(
        "A filter that means nothing is refused",
        arguments: [
            ("dangling", "is not NAME=value; expected dangling=true|false"), ("dangling=x", "neither true nor false"),
            ("lable=x", "--filter has no \"lable\", did you mean \"label\"?"),
            ("before=nosuch", "--filter before=nosuch: no image is called"),
            ("reference=[a", "--filter reference=[a: "),
        ]
    )
    func filterFaults(filter: String, message: String) throws {
        try tag(try image(), "app")
        var list = ListImages(workspace)
        list.filters = [filter]

        let reason = try fault { _ = try list.run(.text) }

        #expect(reason.code == .usage && reason.message.contains(message), "\(reason.message)")
    }

    @Test func imagesAreListedByName() throws {
        let first = try image()
        try tag(first, "zebra:1")
        try tag(first, "app")
        let index = ImageIndex(manifests: [first, try image("arm64", layer: 2)])
        try tag(try store.put(index.document, .index), "myacr.azurecr.io/many:v2")

        let text = try ListImages(workspace).run(.text)
        let json = try JSON(parsing: ListImages(workspace).run(.json))["images"].array

        let lines = text.split(separator: "\n")
        #expect(lines.count == 4)
        #expect(lines[0].hasPrefix("NAME"))
        #expect(
            lines[1].hasPrefix("app:latest                \(first.digest.short)  linux/amd64              1970-01-01T")
        )
        #expect(try ListImages(workspace).run(.text, digests: .whole).contains(first.digest.description))
        #expect(json.map { $0["name"].string } == ["app:latest", "myacr.azurecr.io/many:v2", "zebra:1"])
        #expect(json[1]["platforms"].strings == ["linux/amd64", "linux/arm64"])
        #expect(json[0]["digest"].string == first.digest.description)
        let size = try #require(json[0]["size"].int)
        #expect(size > 2000 && size < 3500)
        #expect(try #require(json[1]["size"].int) > 2 * 2000)
    }

    @Test func aStoreThatIsNotThereIsNotMade() throws {
        let none = try Workspace(store: folder.url.appending(path: "none").path, environment: [:])
        #expect(try ListImages(none).run(.text).hasPrefix("NAME"))
        #expect(try JSON(parsing: ListImages(none).run(.json))["images"].array.isEmpty)
        #expect(try JSON(parsing: ShowUsage(none).run(.json))["total"].int == 0)
        #expect(try PruneStore(none).run(.remove) == "there is no store at \(none.path)\n")
        #expect(try fault { _ = try InspectImage(none).run("a", .text) }.message.contains("there is no store at"))
        #expect(!FileManager.default.fileExists(atPath: none.path))
    }

    @Test func incompleteImagesAreListedToo() throws {
        let image = try image()
        try tag(image, "app")
        DiskFile.remove(store.path(of: image.digest))
        #expect(try names() == ["app:latest"])
        #expect(try InspectImage(workspace).run("app", .text).contains("missing or damaged"))
    }

    @Test func aNameIsGivenAndMoved() throws {
        let (first, second) = (try image(), try image("arm64"))
        try tag(first, "a")
        try tag(second, "b")

        #expect(try TagImage(workspace).run("a", as: "localhost:5000/c:1") == "localhost:5000/c:1")
        #expect(try TagImage(workspace).run(second.digest.description, as: "a") == "a:latest")

        #expect(try names() == ["a:latest", "b:latest", "localhost:5000/c:1"])
        #expect(try store.image(named: ImageReference("a"))?.digest == second.digest)
        #expect(try store.image(named: ImageReference("localhost:5000/c:1"))?.digest == first.digest)
        let pinned = "a@\(second.digest)"
        #expect(try fault { _ = try TagImage(workspace).run("a", as: pinned) }.message.contains("has a digest"))
        #expect(try TagImage(workspace).run(pinned, as: "d") == "d:latest")
        let moved = "a@\(first.digest)"
        #expect(try fault { _ = try TagImage(workspace).run(moved, as: "d") }.code == .usage)
    }

    @Test func aWrongNameIsAnsweredWithNearOnes() throws {
        for name in ["hello", "hello:v1", "help:latest", "localhost:5000/far/away", "other"] { try tag(image(), name) }

        let near = try fault { _ = try InspectImage(workspace).run("helo", .text) }
        let same = try fault { _ = try RemoveImage(workspace).run(["hello:v2"]) }
        let none = try fault { _ = try TagImage(workspace).run("localhost:5000/nothing", as: "x") }
        let malformed = try fault { _ = try InspectImage(workspace).run("A B", .text) }

        #expect(near.code == .usage && same.code == .usage && none.code == .usage && malformed.code == .usage)
        #expect(near.message == "no image is called \"helo:latest\"; similar: \"hello:latest\", \"help:latest\"")
        #expect(same.message.hasPrefix("no image is called \"hello:v2\"; similar: \"hello:latest\", \"hello:v1\""))
        #expect(none.message == "no image is called \"localhost:5000/nothing:latest\"")
        #expect(none.hint == "coracle images lists all of them")
        #expect(malformed.message.contains("is not an image reference"))
    }

    @Test func anImageIsDescribed() throws {
        let index = ImageIndex(manifests: [try image(), try image("arm64", layer: 2)])
        let descriptor = try store.put(index.document, .index)
        try tag(descriptor, "app")

        let text = try InspectImage(workspace).run("app", .text)
        let json = try JSON(parsing: InspectImage(workspace).run("app", .json))

        for part in [
            descriptor.digest.description, "linux/amd64", "linux/arm64", "layers    1, 2.0 kB", "COPY 2 /",
            "command   [\"/x\"]", "env       A=1",
        ] { #expect(text.contains(part), "\(part)") }
        #expect(!text.contains("\u{1B}"))
        #expect(json["name"].string == "app:latest" && json["digest"].string == descriptor.digest.description)
        let images = json["images"].array
        #expect(images.map { $0["platform"].string } == ["linux/amd64", "linux/arm64"])
        let layer = try #require(images.last?["layers"].array.first)
        #expect(layer["size"].int == 2000 && layer["diffID"].string == SHA256.digest([2]).description)
        #expect(layer["createdBy"].string == "COPY 2 /\u{1B}[31m")
        #expect(images[0]["image"]["config"]["Env"].strings == ["A=1"])
        #expect(images[0]["config"]["digest"].string?.hasPrefix("sha256:") == true)
    }

    @Test func layoutsOfOthersAreDescribed() throws {
        let (first, second) = (try image(), try image("arm64"))
        let inspect = InspectImage(try Workspace(store: "/nowhere", environment: [:]))
        let layout = "oci-layout://" + store.root
        #expect(try fault { _ = try inspect.run(layout, .text) }.message == "\(store.root) has no image")

        try tag(first, "app:v1")
        #expect(try JSON(parsing: inspect.run(layout, .json))["digest"].string == first.digest.description)
        try tag(second, "app:v2")
        try store.update { $0[1].annotations[ImageStore.nameAnnotation] = "v2" }

        #expect(try JSON(parsing: inspect.run(layout + ":v2", .json))["digest"].string == second.digest.description)
        #expect(try JSON(parsing: inspect.run(layout + ":v1", .json))["digest"].string == first.digest.description)
        let byDigest = try inspect.run("\(layout)@\(first.digest)", .json)
        #expect(try JSON(parsing: byDigest)["digest"].string == first.digest.description)
        let several = try fault { _ = try inspect.run(layout, .text) }
        #expect(several.message == "\(store.root) has no image with the tag \"latest\"; there are: app:v1, v2")
        for wrong in [
            "oci-layout:///absent", "oci-layout:///absent:v1", "oci-layout://", "oci-layout://\(folder.url.path)",
        ] {
            #expect(try fault { _ = try inspect.run(wrong, .text) }.code == .usage)
        }
    }

    @Test func imagesAreTakenOffTheList() throws {
        let (first, second) = (try image(), try image("arm64"))
        for name in ["a", "b"] { try tag(first, name) }
        try tag(second, "c")

        #expect(try fault { _ = try RemoveImage(workspace).run(["c", "nothing"]) }.code == .usage)
        #expect(try names() == ["a:latest", "b:latest", "c:latest"], "none is removed where one is wrong")
        #expect(try RemoveImage(workspace).run(["c", "a"]) == ["c:latest", "a:latest"])
        #expect(try names() == ["b:latest"])
        try store.update { $0.append(first) }
        #expect(try RemoveImage(workspace).run([first.digest.description]).count == 2)
        #expect(try store.images().isEmpty)
        #expect(store.has(first), "blobs stay until the next prune")
    }

    @Test func pruningSaysWhatItDid() throws {
        try tag(try image(), "app")
        let loose = try store.put([UInt8](repeating: 5, count: 50_000), .layerGzip)
        let record = StepCache.Record(layer: loose, diffID: loose.digest, size: 1)
        let key = SHA256.digest([1])
        try StepCache(store).keep(record, key, definition: key, text: "COPY")
        var prune = PruneStore(workspace)

        #expect(try prune.run(.remove).hasPrefix("removed nothing; 0 B freed, "))
        prune.all = true
        #expect(try prune.run(.preview).hasPrefix("would remove 1 cached step, 1 blob; "))
        #expect(store.has(loose))
        (prune.all, prune.maxSize) = (false, DataSize(1))
        let text = try prune.run(.remove)

        #expect(text.hasPrefix("removed 1 cached step, 1 blob; "))
        #expect(text.contains("what is left is over 1 B and needed by images: coracle rm NAME, then prune again"))
        #expect(!store.has(loose))
        #expect(try names() == ["app:latest"])
        let lease = try store.lease()
        let busy = try fault { _ = try prune.run(.remove) }
        #expect(busy.message == "a build is using the store \(store.root); try again when it is done")
        withExtendedLifetime(lease) {}
    }

    @Test func usageIsShown() throws {
        try tag(try image(), "app")

        let text = try ShowUsage(workspace).run(.text)
        let json = try JSON(parsing: ShowUsage(workspace).run(.json))

        #expect(text.contains("PART") && text.contains("can be freed with coracle prune --all"))
        let parts = ["images", "layers", "registry", "cache", "other"].compactMap { json[$0]["size"].int }
        #expect(parts.count == 5 && parts.reduce(0, +) == json["total"].int)
        #expect(json["images"]["count"].int == 1 && json["layers"]["count"].int == 1)
        #expect(json["store"].string == store.root && json["version"].int == 1)
    }

    @Test func aStoreOfALaterVersionIsRefusedByAll() throws {
        try Data("2\n".utf8).write(to: URL(filePath: store.root + "/coracle-store"))
        let reason = try fault { _ = try ListImages(workspace).run(.text) }
        #expect(reason.code == .usage && reason.message.contains("use a newer coracle"))
        #expect(try fault { _ = try PruneStore(workspace).run(.remove) }.message == reason.message)
    }
}
