import Foundation
import Testing

/// Pages of modules that list the parts of their module.
@Suite("Pages of the modules")
struct ModulePageTests {
  @Test("the page of BatonServer lists each folder of the module, and no other")
  func folders() throws {
    let module = Page.root.appendingPathComponent("Sources/BatonServer")
    let page = try Page.file("Sources/BatonServer/BatonServer.docc/BatonServer.md")
    let listed = page.split(separator: "\n").compactMap { $0.prefixMatch(of: #/    (\w+)/ +\w/#).map { String($0.1) } }
    let folders = try FileManager.default.contentsOfDirectory(atPath: module.path).filter { !$0.contains(".") }
    #expect(listed.sorted() == folders.sorted())
  }

  @Test("the page of ReviewStore names each folder, and each file with statements or the folder that it is in")
  func files() throws {
    let module = Page.root.appendingPathComponent("Sources/ReviewStore")
    let page = try Page.file("Sources/ReviewStore/ReviewStore.docc/ReviewStore.md")
    let folders = try FileManager.default.contentsOfDirectory(atPath: module.path).filter { !$0.contains(".") }
    for folder in folders { #expect(page.contains("`\(folder)/`"), "\(folder)") }
    let paths = try #require(FileManager.default.enumerator(atPath: module.path)).compactMap { $0 as? String }
    for path in paths where path.hasSuffix(".swift") {
      let parts = path.split(separator: "/")
      let isNamed =
        parts.dropLast().contains { page.contains("`\($0)/`") } || page.contains("`\(parts[parts.count - 1])`")
      let source = try String(contentsOf: module.appendingPathComponent(path), encoding: .utf8)
      #expect(isNamed || !source.contains("PostgresStatement("), "\(path)")
    }
  }
}
