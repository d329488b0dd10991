// SPDX-License-Identifier: Apache-2.0
import OCI
import Testing

@testable import Kubernetes

@Suite("Fields and whose they are")
struct FieldTests {
    private static let live = """
        {"apiVersion":"apps/v1","kind":"Deployment",
        "metadata":{"name":"web","labels":{"a":"1","b":"2"},"managedFields":[
          {"manager":"coracle","operation":"Apply","fieldsV1":{
            "f:metadata":{"f:labels":{"f:a":{}}},
            "f:spec":{"f:replicas":{},"f:template":{"f:spec":{"f:containers":{
              "k:{\\"name\\":\\"app\\"}":{".":{},"f:name":{},"f:image":{},"f:args":{},
                "f:ports":{"k:{\\"containerPort\\":80,\\"protocol\\":\\"TCP\\"}":{".":{},"f:containerPort":{}}}}}}},
              "f:finalizers":{"v:\\"x\\"":{}}}}},
          {"manager":"kube-controller-manager","operation":"Update","subresource":"scale",
            "fieldsV1":{"f:spec":{"f:replicas":{}}}},
          {"manager":"coracle","operation":"Update","fieldsV1":{"f:spec":{"f:paused":{}}}}]},
        "spec":{"replicas":3,"paused":false,"finalizers":["x","y"],"template":{"spec":{"containers":[
          {"name":"side","image":"s"},
          {"name":"app","image":"i","args":["1","2"],"tty":true,"ports":[{"containerPort":80,"name":"http"},{"containerPort":81}]}
        ]}}}}
        """

    @Test("What is ours of an object is what we applied, elements by their keys")
    func ours() throws {
        let object = try JSONValue.of(Self.live)
        let fields = ManagedFields(object)

        let part = try #require(fields.ours.part(of: object))

        let expected = """
            {"metadata":{"labels":{"a":"1"}},"spec":{"replicas":3,"finalizers":["x"],"template":{"spec":{"containers":[
            {"name":"app","image":"i","args":["1","2"],"ports":[{"containerPort":80}]}]}}}}
            """
        #expect(part == (try .of(expected)))
        #expect(fields.ours.contains(["spec", "replicas"]))
        #expect(!fields.ours.contains(["spec", "paused"]))
        #expect(fields.areOthers(["spec", "replicas"]))
        #expect(!fields.areOthers(["metadata", "labels", "a"]))
    }

    @Test("Fields of two sets are those of either, and a whole takes in its parts")
    func union() throws {
        let one = FieldSet(try .of("{\"f:a\":{\"f:b\":{}},\"f:c\":{}}"))
        let other = FieldSet(try .of("{\"f:a\":{\"f:d\":{}},\"f:c\":{\"f:x\":{}}}"))
        let value = try JSONValue.of("{\"a\":{\"b\":1,\"d\":2,\"e\":3},\"c\":{\"x\":1,\"y\":2},\"z\":0}")

        #expect(one.union(other).part(of: value) == (try .of("{\"a\":{\"b\":1,\"d\":2},\"c\":{\"x\":1,\"y\":2}}")))
    }

    @Test("Changes are said by field, elements by name, without what only the cluster writes")
    func changes() throws {
        let old = try JSONValue.of(
            """
            {"kind":"Deployment","metadata":{"name":"web","uid":"1","generation":1,
              "annotations":{"deployment.kubernetes.io/revision":"1"}},
            "spec":{"replicas":1,"template":{"spec":{"containers":[{"name":"web","image":"a",
              "env":[{"name":"A","value":"1"},{"name":"DB_PASSWORD","value":"hush1"}],"args":["x"],
              "ports":[{"containerPort":80}]}]}}},"status":{"replicas":1}}
            """
        )
        let new = try JSONValue.of(
            """
            {"kind":"Deployment","metadata":{"name":"web","uid":"2","generation":2,"labels":{"app.kubernetes.io/name":"w"}},
            "spec":{"replicas":2,"template":{"spec":{"containers":[{"name":"web","image":"b",
              "env":[{"name":"A","value":"1"},{"name":"DB_PASSWORD","value":"hush2"},{"name":"B","value":""}],
              "args":["x","y"],"ports":[{"containerPort":8080}]}]}}},"status":{"replicas":2}}
            """
        )

        let changes = ObjectChange.list(from: old, to: new)

        let container = ".spec.template.spec.containers[web]"
        #expect(
            changes == [
                .init(field: ".metadata.labels", before: nil, after: "{\"app.kubernetes.io/name\":\"w\"}"),
                .init(field: ".spec.replicas", before: "1", after: "2"),
                .init(field: container + ".args", before: "[\"x\"]", after: "[\"x\",\"y\"]"),
                .init(field: container + ".env[B]", before: nil, after: "{\"name\":\"B\",\"value\":\"\"}"),
                .init(field: container + ".env[DB_PASSWORD]", before: "(secret)", after: "(secret)"),
                .init(field: container + ".image", before: "a", after: "b"),
                .init(field: container + ".ports[8080]", before: nil, after: "{\"containerPort\":8080}"),
                .init(field: container + ".ports[80]", before: "{\"containerPort\":80}", after: nil),
            ]
        )
        #expect(ObjectChange.list(from: old, to: old).isEmpty)
    }

    @Test("Values of secrets are never shown, however they change")
    func secrets() throws {
        let old = try JSONValue.of("{\"kind\":\"Secret\",\"data\":{\"a\":\"aHVzaA==\",\"gone\":\"aHVzaA==\"}}")
        let new = try JSONValue.of("{\"kind\":\"Secret\",\"data\":{\"a\":\"aHVzaDI=\",\"b\":\"aHVzaA==\"}}")
        let bare = try JSONValue.of("{\"kind\":\"Secret\"}")

        #expect(
            ObjectChange.list(from: old, to: new) == [
                .init(field: ".data.a", before: "(secret)", after: "(secret)"),
                .init(field: ".data.b", before: nil, after: "(secret)"),
                .init(field: ".data.gone", before: "(secret)", after: nil),
            ]
        )
        #expect(ObjectChange.list(from: bare, to: new).map(\.after) == ["(secret)"])
        #expect(!ObjectChange.redacted(new).canonical.contains("aHV"))
    }

    @Test("The same elements in another order are a change")
    func order() throws {
        let old = try JSONValue.of("{\"l\":[{\"name\":\"a\"},{\"name\":\"b\"}],\"m\":[1,2]}")
        let new = try JSONValue.of("{\"l\":[{\"name\":\"b\"},{\"name\":\"a\"}],\"m\":[2,1]}")

        #expect(ObjectChange.list(from: old, to: new).map(\.field) == [".l", ".m"])
    }
}
