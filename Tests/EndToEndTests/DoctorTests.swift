// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

@Suite("coracle doctor")
struct DoctorTests {
    @Test("What this machine allows is said to people and to programs")
    func report() throws {
        let folder = try TemporaryFolder()
        let store = folder.url.appending(path: "no/store")

        let text = try Program.run(["doctor", "--store", store.path])
        let json = try Program.run(["doctor", "--store", store.path, "--format", "json"])

        let report = try JSON(parsing: json.output)
        #expect((text.status == 0) == (report["works"].bool == true))
        #expect(json.status == text.status)
        #expect(report["findings"].array.contains { $0["subject"].string == "isolation" })
        #expect(text.output.contains("RUN and coracle run"))
        #expect(!FileManager.default.fileExists(atPath: store.path), "looking makes no store")
    }
}
