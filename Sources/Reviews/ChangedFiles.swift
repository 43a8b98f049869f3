/// The files that a pull request changes, as far as its platform lists them.
package struct ChangedFiles: Sendable, Equatable {
  /// Their paths, under their old names too.
  package var paths: [String]
  /// Whether these are all. A platform cuts the list of a large pull request, and makes that of a new one a moment after its event.
  package var isComplete: Bool

  package init(paths: [String], isComplete: Bool) {
    self.paths = paths
    self.isComplete = isComplete
  }
}
