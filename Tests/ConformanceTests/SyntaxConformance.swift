// SPDX-License-Identifier: Apache-2.0
import DockerfileSyntax
import Foundation
import TestSupport
import Testing

extension Conformance {
    /// Whether our tree of a text is BuildKit's.
    @Suite("Syntax")
    struct SyntaxConformance {
        @Test("Single instructions read as BuildKit reads them", arguments: ["instructions", "mount-flags"])
        func instructions(file: String) throws {
            var counts = Counts("\(file).json")
            for (index, item) in try ConformanceData.cases("1-buildkit/\(file).json").enumerated() {
                let text = item["input"].string ?? ""
                counts.check("\(file)[\(index)] \(text.prefix(80))") { fault(in: item, text) }
            }
            counts.report()
            #expect(counts.failed == [])
        }

        @Test("Whole files give BuildKit's tree", arguments: ["dockerfiles", "heredocs"])
        func files(file: String) throws {
            var counts = Counts("\(file).json trees")
            for (index, item) in try ConformanceData.cases("1-buildkit/\(file).json").enumerated() {
                counts.check("\(file)[\(index)] \(item["from"].string ?? "")") {
                    SyntaxConformance.fault(in: item["expected"], Array((item["dockerfile"].string ?? "").utf8))
                }
            }
            counts.report()
            #expect(counts.failed == [])
        }

        @Test("BuildKit's own parser test files give its tree")
        func parserTestFiles() throws {
            var counts = Counts("parser-testfiles")
            let folder = try #require(ConformanceData.folder).appending(path: "given/1-buildkit/parser-testfiles")
            for group in try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted() {
                let groupFolder = folder.appending(path: group)
                for name in try FileManager.default.contentsOfDirectory(atPath: groupFolder.path).sorted() {
                    let path = groupFolder.appending(path: name)
                    let bytes = [UInt8](try Data(contentsOf: path.appending(path: "Dockerfile")))
                    let expected = try JSON(contentsOf: path.appending(path: "expected.json"))
                    counts.check(name) { SyntaxConformance.fault(in: expected, bytes) }
                }
            }
            counts.report()
            #expect(counts.failed == [])
        }

        @Test("Real Dockerfiles give BuildKit's tree")
        func realWorld() throws {
            var counts = Counts("3-realworld trees")
            for (name, bytes, expected) in try ConformanceData.realWorld() {
                counts.check(name) { SyntaxConformance.fault(in: expected, bytes) }
            }
            counts.report()
            #expect(counts.failed == [])
        }

        // MARK: Comparing

        private func fault(in item: JSON, _ text: String) -> String? {
            let expected = item["expected"]
            var source = text
            if item["whole_file"].bool != true { source = "FROM scratch\n" + text }
            // Some inputs are the first line alone; their heredocs are closed here, and left out of the comparison.
            let isCut = text.contains("<<") && !text.contains("\n")
            if isCut, let name = text.split(separator: "<").last?.prefix(while: \.isLetter) { source += "\n\(name)" }
            if item["escape"].string == "`" { source = "# escape=`\n" + source }
            let (dockerfile, diagnostics) = Dockerfile.parse(SourceText(source, name: "Dockerfile"))
            let errors = diagnostics.filter { $0.severity == .error }
            if let message = expected["error"].string {
                return errors.isEmpty ? "read without a fault; BuildKit says: \(message)" : nil
            }
            if let first = errors.first {
                return Conformance.isExcepted(text) ? nil : "unexpected: \(first.message)"
            }
            guard let instruction = dockerfile.instructions.last else { return "no instruction" }
            var fields = BuildKitView.fields(instruction)
            if isCut { fields?["Files"] = nil }
            let recorded = isCut ? expected["fields"].removing("Files") : expected["fields"]
            if Conformance.isExcepted(text) { return nil }
            if let difference = SyntaxConformance.difference(recorded, fields) { return difference }
            guard case .run(let run) = instruction.content, !expected["mounts"].isNull else { return nil }
            let mounts = run.mounts.map { flag in
                // A type that is a variable is not known yet; BuildKit shows its default then.
                (try? Mount(flag) { text throws(SyntaxError) in text }).map(BuildKitView.mount)
                    ?? ["Type": "bind", "ReadOnly": true]
            }
            if let network = expected["network"].string, network != run.network { return "network \(run.network)" }
            return SyntaxConformance.difference(expected["mounts"], mounts)
        }

        /// The first difference between a recorded tree and ours.
        static func fault(in expected: JSON, _ bytes: [UInt8]) -> String? {
            let source = SourceText(bytes, name: "Dockerfile")
            let (dockerfile, diagnostics) = Dockerfile.parse(source)
            let errors = diagnostics.filter { $0.severity == .error }
            // What BuildKit finds only while planning, we may find while reading.
            if !expected["plan"]["error"].isNull, expected["ok"].bool == true, !errors.isEmpty { return nil }
            if expected["ok"].bool == true, let first = errors.first {
                return "unexpected at line \(source.line(at: first.range.start)): \(first.message)"
            }
            if expected["ok"].bool == false {
                return errors.isEmpty ? "read without a fault; BuildKit says: \(expected["error"].string ?? "")" : nil
            }
            if let escape = expected["escape"].string, escape.utf8.first != dockerfile.escape { return "escape" }
            let recorded = expected["instructions"].array
            let ours = dockerfile.instructions
            if recorded.count != ours.count { return "\(ours.count) instructions, BuildKit has \(recorded.count)" }
            for (item, instruction) in zip(recorded, ours) {
                if let difference = fault(in: item, instruction, source) { return difference }
            }
            return faultInStages(expected, dockerfile)
        }

        private static func fault(in item: JSON, _ instruction: Instruction, _ source: SourceText) -> String? {
            let start = source.line(at: instruction.range.start)
            let place = "line \(start): "
            if item["instruction"].string?.lowercased() != instruction.keyword.text.lowercased() {
                return place + "keyword"
            }
            if item["start_line"].int != start { return place + "starts at \(item["start_line"].int ?? 0)" }
            if item["end_line"].int != source.line(at: instruction.range.end) {
                return place + "ends at \(item["end_line"].int ?? 0), ours at \(source.line(at: instruction.range.end))"
            }
            if item["original"].string != instruction.text { return place + "text \(instruction.text)" }
            let flags = instruction.flags.map { flag in "--" + flag.name + (flag.value.map { "=" + $0.text } ?? "") }
            if (item["flags"].strings ?? []) != flags { return place + "flags \(flags)" }
            let comments = instruction.comments.map(\.text)
            if (item["prev_comment"].strings ?? []) != comments { return place + "comments \(comments)" }
            let heredocs = instruction.heredocs.map {
                [
                    "name": $0.name, "content": $0.content, "chomp": $0.stripsTabs, "expand": $0.expands,
                    "fd": $0.descriptor,
                ]
                    as [String: Any]
            }
            if let difference = difference(item["heredocs"], heredocs) { return place + difference }
            if instruction.kind == .onbuild { return nil }
            guard let arguments = BuildKitView.arguments(instruction) else { return nil }
            return difference(item["args"], arguments).map { place + $0 }
        }

        private static func faultInStages(_ expected: JSON, _ dockerfile: Dockerfile) -> String? {
            let recorded = expected["stages"].array
            if recorded.count != dockerfile.stages.count { return "\(dockerfile.stages.count) stages" }
            for (item, stage) in zip(recorded, dockerfile.stages) {
                if (item["name"].string ?? "") != (stage.name ?? "") { return "stage name \(stage.name ?? "")" }
                for (command, instruction) in zip(item["commands"].array, stage.instructions) {
                    if let difference = difference(command["fields"], BuildKitView.fields(instruction)) {
                        return instruction.text + ": " + difference
                    }
                }
            }
            for (item, instruction) in zip(expected["meta_args"].array, dockerfile.globalArguments) {
                if let difference = difference(item["fields"], BuildKitView.fields(instruction)) {
                    return difference
                }
            }
            return nil
        }

        static func difference(_ recorded: JSON, _ ours: Any?) -> String? {
            let (theirs, ours) = (Plain.text(recorded.raw), Plain.text(ours))
            return theirs == ours ? nil : "ours \(ours.prefix(600)) theirs \(theirs.prefix(600))"
        }
    }
}
