// SPDX-License-Identifier: Apache-2.0
import OCI
import Testing

@testable import Deploy

@Suite("Images that are to be deployed")
struct ImageFactsTests {
    private func facts(
        _ platform: String = "linux/amd64",
        type: MediaType = .manifest,
        layers: [MediaType] = [.layerGzip, .dockerLayer],
        _ change: (inout ImageConfig) -> Void = { _ in }
    ) throws -> ImageFacts {
        var config = ImageConfig(platform: try Platform(platform))
        change(&config)
        return ImageFacts(try ImageReference(Groups.image), mediaType: type, layers: layers, config: config)
    }

    @Test("What Container Instances cannot run is named before it is tried")
    func findings() throws {
        let good = try facts().findings
        let arm = try facts("linux/arm64").findings
        let windows = try facts("windows/amd64").findings
        let index = try facts(type: .index).findings
        let zstd = try facts(layers: [.layerGzip, .layerZstd]).findings

        #expect(good.map(\.level) == [.good])
        #expect(
            arm.first { $0.level == .bad }?.message
                == "myacr.azurecr.io/web@aaaaaaaaaaaa is for linux/arm64; Container Instances runs linux/amd64"
        )
        #expect(windows.contains { $0.level == .bad })
        #expect(index.contains { $0.what == "manifest" && $0.level == .bad })
        #expect(zstd.first { $0.level == .bad }?.hint == "coracle build --compression gzip …")
    }

    @Test("Ports come from EXPOSE, in order, and the probe's words from HEALTHCHECK")
    func defaults() throws {
        let both = try facts { config in
            config.exposedPorts = ["8080/tcp", "53/udp", "443/tcp"]
            config.healthcheck = .init(test: ["CMD-SHELL", "wget -q localhost || exit 1"])
        }
        let none = try facts { $0.healthcheck = .init(test: ["NONE"]) }

        #expect(both.defaults.ports == ["53/udp", "443/tcp", "8080/tcp"])
        #expect(both.defaults.probe == ["/bin/sh", "-c", "wget -q localhost || exit 1"])
        #expect(none.defaults.probe == nil)
    }
}
