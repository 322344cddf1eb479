// MLflow's aliases and objects of Kubernetes, against servers that record what they are sent. The answers of
// MLflow are those that a server of its release 3.17.2 gave.

import Foundation
import Payload
import Platform
import Testing

@testable import Config
@testable import Control
@testable import Sidecar

private let aliasPath = "/api/2.0/mlflow/registered-models/alias"

@Suite(.enabled(if: ActionSinkServer.isPossible, "python3 or openssl is missing"))
struct MLflowTests {
    /// One for each test: the paths are MLflow's own.
    private let sink: ActionSinkServer

    init() throws { sink = try ActionSinkServer() }

    private func config() throws -> MLflowConfig {
        MLflowConfig(
            access: MLflowAccess(
                url: try sink.url("/", port: "good"), caFile: sink.caFile, timeout: .seconds(60)),
            model: "rec/om", champion: "champion", previous: "before",
            versions: ["v1": "4", "v2": "7"])
    }

    private func found(_ version: String) -> JSON {
        [
            "status": 200,
            "body": .string("{\"model_version\":{\"name\":\"rec/om\",\"version\":\"\(version)\"}}"),
        ]
    }

    private let missing: JSON = [
        "status": 400,
        "body":
            #"{"error_code":"INVALID_PARAMETER_VALUE","message":"Registered model alias x not found."}"#,
    ]

    /// What was written: `set champion 7`, `delete before`.
    private func written() throws -> [String] {
        try sink.recorded(aliasPath).compactMap { request in
            guard request["method"] != "GET", let text = request["body"]?.string else { return nil }
            let body = try JSON(parsing: text)
            #expect(body["name"] == "rec/om")
            let verb = request["method"] == "POST" ? "set" : "delete"
            return [verb, body["alias"]?.string, body["version"]?.string].compactMap { $0 }
                .joined(separator: " ")
        }
    }

    @Test("A promotion names the old champion first, then the new one, so that a crash between loses neither")
    func promote() throws {
        try sink.script(["GET \(aliasPath)": [found("4")]])
        let outcome = MLflowAliases(config: try config()).attempt(.sample(.promoted), .first)
        #expect(outcome.told.word == "done" && outcome.told.text == "champion: 4 -> 7")
        #expect(try written() == ["set before 4", "set champion 7"])
        #expect(try sink.recorded().first?["path"]?.string == "\(aliasPath)?name=rec%2Fom&alias=champion")
    }

    @Test("The first promotion of a model has no predecessor")
    func first() throws {
        try sink.script(["GET \(aliasPath)": [missing]])
        #expect(MLflowAliases(config: try config()).attempt(.sample(.promoted), .first).told.word == "done")
        #expect(try written() == ["set champion 7"])
    }

    @Test("A promotion that is told twice changes nothing the second time")
    func twice() throws {
        try sink.script(["GET \(aliasPath)": [found("7")]])
        #expect(MLflowAliases(config: try config()).attempt(.sample(.promoted), .first).told.word == "done")
        #expect(try written() == [])
    }

    @Test("A cut of the champion makes stable champion before anything else, and leaves no way back to it")
    func cut() throws {
        // The champion, then its predecessor, which is stable.
        try sink.script(["GET \(aliasPath)": [found("7"), found("4")]])
        #expect(MLflowAliases(config: try config()).attempt(.sample(.cut), .first).told.word == "done")
        #expect(try written() == ["set champion 4", "delete before"])
    }

    @Test("A cut of a version that never was champion touches no alias")
    func cutOfAnother() throws {
        try sink.script(["GET \(aliasPath)": [found("4"), missing]])
        #expect(MLflowAliases(config: try config()).attempt(.sample(.cut), .first).told.word == "done")
        #expect(try written() == [])
    }

    @Test("A cut that was interrupted after its first step is completed by the second attempt")
    func cutInterrupted() throws {
        try sink.script(["GET \(aliasPath)": [found("4"), found("7")]])
        #expect(MLflowAliases(config: try config()).attempt(.sample(.cut), .first).told.word == "done")
        #expect(try written() == ["delete before"])
    }

    @Test("A version without a number, a model that is missing and a server in trouble end the attempt")
    func failures() throws {
        let strange = Notice.sample(.promoted, details: [.init("version", "v9")])
        let said = MLflowAliases(config: try config()).attempt(strange, .first).told
        #expect(said.word == "refused" && said.text.contains("no registry version for v9; it has v1, v2"))
        let answers: [(JSON, String)] = [
            (
                [
                    "status": 404,
                    "body":
                        #"{"error_code":"RESOURCE_DOES_NOT_EXIST","message":"Registered Model not found"}"#,
                ], "failed"
            ), (["status": 500, "body": "oh"], "failed"), (["status": 200, "body": "{}"], "failed"),
            (["status": 403, "body": "Invalid Host header"], "failed"),
        ]
        for (answer, word) in answers {
            try sink.script(["GET \(aliasPath)": [answer]])
            #expect(MLflowAliases(config: try config()).attempt(.sample(.promoted), .first).told.word == word)
        }
        #expect(try written() == [])
    }

    @Test("The token is sent as a bearer, and only to a server that has proven itself")
    func token() throws {
        let path = sink.folder + "/token"
        try Data("t0ken\n".utf8).write(to: URL(fileURLWithPath: path))
        var config = try config()
        config.access.tokenFile = path
        try sink.script(["GET \(aliasPath)": [found("7")]])
        #expect(MLflowAliases(config: config).attempt(.sample(.promoted), .first).told.word == "done")
        #expect(try sink.recorded().allSatisfy { $0["fields"]?["authorization"] == "Bearer t0ken" })
    }
}

@Suite(.enabled(if: ActionSinkServer.isPossible, "python3 or openssl is missing"))
struct KubernetesTests {
    private let sink: ActionSinkServer
    private let tokenFile: String

    init() throws {
        sink = try ActionSinkServer()
        tokenFile = sink.folder + "/token"
        try write(token: "one")
    }

    private func write(token: String) throws {
        try Data("\(token)\n".utf8).write(to: URL(fileURLWithPath: tokenFile))
    }

    private func access(_ port: String = "good") throws -> KubernetesAccess {
        KubernetesAccess(
            url: try sink.url("/", port: port), tokenFile: tokenFile, caFile: sink.caFile, namespace: "prod",
            timeout: .seconds(60))
    }

    /// Each request as `METHOD path content-type bearer body`.
    private func seen() throws -> [String] {
        try sink.recorded().map { request in
            let fields = request["fields"]
            return [
                request["method"], request["path"], fields?["content-type"], fields?["authorization"],
                request["body"],
            ].compactMap { $0?.string }.joined(separator: " ")
        }
    }

    private let rollout = "/apis/argoproj.io/v1alpha1/namespaces/prod/rollouts/shop"

    private func argo(_ kind: JournalEvent.Kind) throws -> AttemptOutcome {
        ArgoRollout(config: ArgoConfig(access: try access(), rollout: "shop")).attempt(.sample(kind), .first)
    }

    @Test("A cut aborts the Rollout through its status")
    func abort() throws {
        #expect(try argo(.cut).told.word == "done")
        let patch = "PATCH \(rollout)/status application/merge-patch+json Bearer one"
        #expect(try seen() == ["\(patch) {\"status\":{\"abort\":true}}"])
    }

    @Test("Where a Rollout has no status of its own, the object is patched")
    func abortOld() throws {
        try sink.script(["PATCH \(rollout)/status": [["status": 404, "body": "{}"]]])
        #expect(try argo(.cut).told.word == "done")
        #expect(try seen().map { $0.split(separator: " ")[1] } == ["\(rollout)/status", "\(rollout)"])
    }

    @Test("A promotion promotes the Rollout fully, and lets a paused one go on")
    func promote() throws {
        let object = "{\"spec\":{\"paused\":true},\"status\":{\"currentPodHash\":\"b\",\"stableRS\":\"a\"}}"
        try sink.script(["GET \(rollout)": [["status": 200, "body": .string(object)]]])
        #expect(try argo(.promoted).told.word == "done")
        let patch = "application/merge-patch+json Bearer one"
        #expect(
            try seen() == [
                "GET \(rollout) Bearer one ",
                "PATCH \(rollout)/status \(patch) {\"status\":{\"promoteFull\":true}}",
                "PATCH \(rollout) \(patch) {\"spec\":{\"paused\":false}}",
            ])
    }

    @Test("A Rollout that is promoted already is left alone")
    func promoted() throws {
        let object = "{\"spec\":{},\"status\":{\"currentPodHash\":\"a\",\"stableRS\":\"a\"}}"
        try sink.script(["GET \(rollout)": [["status": 200, "body": .string(object)]]])
        #expect(try argo(.promoted).told.text.contains("promoted already"))
        #expect(try seen().count == 1)
    }

    @Test("A Rollout that is missing, or a token that may not, is a failure that quotes the server")
    func refused() throws {
        for status in [403, 404, 409, 500] {
            let answer: JSON = [
                "status": .integer(Int64(status)), "body": "{\"message\":\"rollouts shop no\"}",
            ]
            try sink.script(["PATCH \(rollout)/status": [answer], "PATCH \(rollout)": [answer]])
            let said = try argo(.cut).told
            #expect(said.word == "failed" && said.text.contains("\(status)") && said.text.contains("shop no"))
            #expect(!said.text.contains("one"))
        }
    }

    @Test(
        "An object is patched in the form and at the place that the config names",
        arguments: [
            ("apps/v1", "merge", nil, "/apis/apps/v1/namespaces/prod/deployments/web", "merge-patch"),
            ("v1", "json", nil, "/api/v1/namespaces/prod/deployments/web", "json-patch"),
            (
                "apps/v1", "strategic", "scale", "/apis/apps/v1/namespaces/prod/deployments/web/scale",
                "strategic-merge-patch"
            ),
        ])
    func patch(_ api: String, _ form: String, _ sub: String?, _ path: String, _ type: String) throws {
        let config = KubernetesConfig(
            access: try access(), api: api, resource: "deployments", object: "web", subresource: sub,
            form: try #require(KubernetesConfig.Form(rawValue: form)), patch: ["spec": ["replicas": 0]])
        #expect(KubernetesPatch(config: config).attempt(.sample(), .first).told.word == "done")
        #expect(
            try seen() == ["PATCH \(path) application/\(type)+json Bearer one {\"spec\":{\"replicas\":0}}"])
    }

    @Test("A token that the kubelet has replaced is used by the next attempt")
    func rotation() throws {
        _ = try argo(.cut)
        try write(token: "two")
        _ = try argo(.cut)
        #expect(try seen().map { $0.contains("Bearer two") } == [false, true])
    }

    @Test("No token goes to an API server that another authority vouches for")
    func impostor() throws {
        let config = ArgoConfig(access: try access("self_signed"), rollout: "shop")
        #expect(ArgoRollout(config: config).attempt(.sample(.cut), .first).told.word == "failed")
        #expect(try seen() == [])
    }

    @Test("Outside of a pod and without a url the attempt ends with what is missing")
    func noPod() throws {
        var config = ArgoConfig(access: try access(), rollout: "shop")
        config.access.url = nil
        let said = ArgoRollout(config: config).attempt(.sample(.cut), .first).told
        #expect(said.word == "refused" && said.text.contains("KUBERNETES_SERVICE_HOST"))
    }
}
