// Recorded data, see NOTICE.txt.
// swift-format-ignore-file

extension Recording {
  static let pull31Files = Recording(
    method: "GET", path: "/repos/PyGithub/PyGithub/pulls/31/files", status: 200,
    headers: ["etag": #""a6f83dd38ea0a62d423fefb7b8353561""#, "content-type": "application/json; charset=utf-8"],
    body: ##"""
      [
       {
        "patch": "@@ -70,7 +70,7 @@ def __useAttributes( self, attributes ):\n \n         # @toto No need to check if attribute is in attributes when attribute is mandatory\n {% for attribute in class.attributes|dictsort:\"name\" %}\n-        if \"{{ attribute.name }}\" in attributes and attributes[ \"{{ attribute.name }}\" ] is not None:\n+        if \"{{ attribute.name }}\" in attributes and attributes[ \"{{ attribute.name }}\" ] is not None: # pragma no branch\n \n {% if attribute.type.cardinality == \"scalar\" %}\n {% if attribute.type.simple %}",
        "status": "modified",
        "deletions": 1,
        "blob_url": "https://github.com/PyGithub/PyGithub/blob/8a4f306d4b223682dd19410d4a9150636ebe4206/codegen/templates/GithubObject.py",
        "changes": 2,
        "additions": 1,
        "sha": "8a4f306d4b223682dd19410d4a9150636ebe4206",
        "raw_url": "https://github.com/PyGithub/PyGithub/raw/8a4f306d4b223682dd19410d4a9150636ebe4206/codegen/templates/GithubObject.py",
        "filename": "codegen/templates/GithubObject.py"
       },
       {
        "status": "modified",
        "deletions": 25,
        "blob_url": "https://github.com/PyGithub/PyGithub/blob/8a4f306d4b223682dd19410d4a9150636ebe4206/src/github/AuthenticatedUser.py",
        "changes": 50,
        "additions": 25,
        "sha": "8a4f306d4b223682dd19410d4a9150636ebe4206",
        "raw_url": "https://github.com/PyGithub/PyGithub/raw/8a4f306d4b223682dd19410d4a9150636ebe4206/src/github/AuthenticatedUser.py",
        "filename": "src/github/AuthenticatedUser.py"
       },
       {
        "status": "modified",
        "deletions": 9,
        "blob_url": "https://github.com/PyGithub/PyGithub/blob/8a4f306d4b223682dd19410d4a9150636ebe4206/src/github/Authorization.py",
        "changes": 18,
        "additions": 9,
        "sha": "8a4f306d4b223682dd19410d4a9150636ebe4206",
        "raw_url": "https://github.com/PyGithub/PyGithub/raw/8a4f306d4b223682dd19410d4a9150636ebe4206/src/github/Authorization.py",
        "filename": "src/github/Authorization.py"
       },
       {
        "patch": "@@ -28,9 +28,9 @@ def __useAttributes( self, attributes ):\n         for attribute in attributes:\n             assert attribute in [ \"commit\", \"name\", ], attribute\n         # @toto No need to check if attribute is in attributes when attribute is mandatory\n-        if \"commit\" in attributes and attributes[ \"commit\" ] is not None:\n+        if \"commit\" in attributes and attributes[ \"commit\" ] is not None: # pragma no branch\n             assert isinstance( attributes[ \"commit\" ], dict )\n             self.__commit = Commit.Commit( self.__requester, attributes[ \"commit\" ], completion = LazyCompletion )\n-        if \"name\" in attributes and attributes[ \"name\" ] is not None:\n+        if \"name\" in attributes and attributes[ \"name\" ] is not None: # pragma no branch\n             assert isinstance( attributes[ \"name\" ], str )\n             self.__name = attributes[ \"name\" ]",
        "status": "modified",
        "deletions": 2,
        "blob_url": "https://github.com/PyGithub/PyGithub/blob/8a4f306d4b223682dd19410d4a9150636ebe4206/src/github/Branch.py",
        "changes": 4,
        "additions": 2,
        "sha": "8a4f306d4b223682dd19410d4a9150636ebe4206",
        "raw_url": "https://github.com/PyGithub/PyGithub/raw/8a4f306d4b223682dd19410d4a9150636ebe4206/src/github/Branch.py",
        "filename": "src/github/Branch.py"
       },
       {
        "status": "modified",
        "deletions": 8,
        "blob_url": "https://github.com/PyGithub/PyGithub/blob/8a4f306d4b223682dd19410d4a9150636ebe4206/src/github/Commit.py",
        "changes": 16,
        "additions": 8,
        "sha": "8a4f306d4b223682dd19410d4a9150636ebe4206",
        "raw_url": "https://github.com/PyGithub/PyGithub/raw/8a4f306d4b223682dd19410d4a9150636ebe4206/src/github/Commit.py",
        "filename": "src/github/Commit.py"
       },
       {
        "status": "modified",
        "deletions": 11,
        "blob_url": "https://github.com/PyGithub/PyGithub/blob/8a4f306d4b223682dd19410d4a9150636ebe4206/src/github/CommitComment.py",
        "changes": 22,
        "additions": 11,
        "sha": "8a4f306d4b223682dd19410d4a9150636ebe4206",
        "raw_url": "https://github.com/PyGithub/PyGithub/raw/8a4f306d4b223682dd19410d4a9150636ebe4206/src/github/CommitComment.py",
        "filename": "src/github/CommitComment.py"
       },
       {
        "status": "modified",
        "deletions": 9,
        "blob_url": "https://github.com/PyGithub/PyGithub/blob/8a4f306d4b223682dd19410d4a9150636ebe4206/src/github/CommitFile.py",
        "changes": 18,
        "additions": 9,
        "sha": "8a4f306d4b223682dd19410d4a9150636ebe4206",
        "raw_url": "https://github.com/PyGithub/PyGithub/raw/8a4f306d4b223682dd19410d4a9150636ebe4206/src/github/CommitFile.py",
        "filename": "src/github/CommitFile.py"
       },
       {
        "patch": "@@ -32,12 +32,12 @@ def __useAttributes( self, attributes ):\n         for attribute in attributes:\n             assert attribute in [ \"additions\", \"deletions\", \"total\", ], attribute\n         # @toto No need to check if attribute is in attributes when attribute is mandatory\n-        if \"additions\" in attributes and attributes[ \"additions\" ] is not None:\n+        if \"additions\" in attributes and attributes[ \"additions\" ] is not None: # pragma no branch\n             assert isinstance( attributes[ \"additions\" ], int )\n             self.__additions = attributes[ \"additions\" ]\n-        if \"deletions\" in attributes and attributes[ \"deletions\" ] is not None:\n+        if \"deletions\" in attributes and attributes[ \"deletions\" ] is not None: # pragma no branch\n             assert isinstance( attributes[ \"deletions\" ], int )\n             self.__deletions = attributes[ \"deletions\" ]\n-        if \"total\" in attributes and attributes[ \"total\" ] is not None:\n+        if \"total\" in attributes and attributes[ \"total\" ] is not None: # pragma no branch\n             assert isinstance( attributes[ \"total\" ], int )\n             self.__total = attributes[ \"total\" ]",
        "status": "modified",
        "deletions": 3,
        "blob_url": "https://github.com/PyGithub/PyGithub/blob/8a4f306d4b223682dd19410d4a9150636ebe4206/src/github/CommitStats.py",
        "changes": 6,
        "additions": 3,
        "sha": "8a4f306d4b223682dd19410d4a9150636ebe4206",
        "raw_url": "https://github.com/PyGithub/PyGithub/raw/8a4f306d4b223682dd19410d4a9150636ebe4206/src/github/CommitStats.py",
        "filename": "src/github/CommitStats.py"
       },
       {
        "status": "modified",
        "deletions": 20,
        "blob_url": "https://github.com/PyGithub/PyGithub/blob/8a4f306d4b223682dd19410d4a9150636ebe4206/src/github/Download.py",
        "changes": 40,
        "additions": 20,
        "sha": "8a4f306d4b223682dd19410d4a9150636ebe4206",
        "raw_url": "https://github.com/PyGithub/PyGithub/raw/8a4f306d4b223682dd19410d4a9150636ebe4206/src/github/Download.py",
        "filename": "src/github/Download.py"
       },
       {
        "status": "modified",
        "deletions": 8,
        "blob_url": "https://github.com/PyGithub/PyGithub/blob/8a4f306d4b223682dd19410d4a9150636ebe4206/src/github/Event.py",
        "changes": 16,
        "additions": 8,
        "sha": "8a4f306d4b223682dd19410d4a9150636ebe4206",
        "raw_url": "https://github.com/PyGithub/PyGithub/raw/8a4f306d4b223682dd19410d4a9150636ebe4206/src/github/Event.py",
        "filename": "src/github/Event.py"
       },
       {
        "status": "modified",
        "deletions": 15,
        "blob_url": "https://github.com/PyGithub/PyGithub/blob/8a4f306d4b223682dd19410d4a9150636ebe4206/src/github/Gist.py",
        "changes": 30,
        "additions": 15,
        "sha": "8a4f306d4b223682dd19410d4a9150636ebe4206",
        "raw_url": "https://github.com/PyGithub/PyGithub/raw/8a4f306d4b223682dd19410d4a9150636ebe4206/src/github/Gist.py",
        "filename": "src/github/Gist.py"
       },
       {
        "status": "modified",
        "deletions": 6,
        "blob_url": "https://github.com/PyGithub/PyGithub/blob/8a4f306d4b223682dd19410d4a9150636ebe4206/src/github/GistComment.py",
        "changes": 12,
        "additions": 6,
        "sha": "8a4f306d4b223682dd19410d4a9150636ebe4206",
        "raw_url": "https://github.com/PyGithub/PyGithub/raw/8a4f306d4b223682dd19410d4a9150636ebe4206/src/github/GistComment.py",
        "filename": "src/github/GistComment.py"
       },
       {
        "status": "modified",
        "deletions": 5,
        "blob_url": "https://github.com/PyGithub/PyGithub/blob/8a4f306d4b223682dd19410d4a9150636ebe4206/src/github/GistHistoryState.py",
        "changes": 10,
        "additions": 5,
        "sha": "8a4f306d4b223682dd19410d4a9150636ebe4206",
        "raw_url": "https://github.com/PyGithub/PyGithub/raw/8a4f306d4b223682dd19410d4a9150636ebe4206/src/github/GistHistoryState.py",
        "filename": "src/github/GistHistoryState.py"
       },
       {
        "patch": "@@ -32,12 +32,12 @@ def __useAttributes( self, attributes ):\n         for attribute in attributes:\n             assert attribute in [ \"date\", \"email\", \"name\", ], attribute\n         # @toto No need to check if attribute is in attributes when attribute is mandatory\n-        if \"date\" in attributes and attributes[ \"date\" ] is not None:\n+        if \"date\" in attributes and attributes[ \"date\" ] is not None: # pragma no branch\n             assert isinstance( attributes[ \"date\" ], str )\n             self.__date = attributes[ \"date\" ]\n-        if \"email\" in attributes and attributes[ \"email\" ] is not None:\n+        if \"email\" in attributes and attributes[ \"email\" ] is not None: # pragma no branch\n             assert isinstance( attributes[ \"email\" ], str )\n             self.__email = attributes[ \"email\" ]\n-        if \"name\" in attributes and attributes[ \"name\" ] is not None:\n+        if \"name\" in attributes and attributes[ \"name\" ] is not None: # pragma no branch\n             assert isinstance( attributes[ \"name\" ], str )\n             self.__name = attributes[ \"name\" ]",
        "status": "modified",
        "deletions": 3,
        "blob_url": "https://github.com/PyGithub/PyGithub/blob/8a4f306d4b223682dd19410d4a9150636ebe4206/src/github/GitAuthor.py",
        "changes": 6,
        "additions": 3,
        "sha": "8a4f306d4b223682dd19410d4a9150636ebe4206",
        "raw_url": "https://github.com/PyGithub/PyGithub/raw/8a4f306d4b223682dd19410d4a9150636ebe4206/src/github/GitAuthor.py",
        "filename": "src/github/GitAuthor.py"
       },
       {
        "status": "modified",
        "deletions": 5,
        "blob_url": "https://github.com/PyGithub/PyGithub/blob/8a4f306d4b223682dd19410d4a9150636ebe4206/src/github/GitBlob.py",
        "changes": 10,
        "additions": 5,
        "sha": "8a4f306d4b223682dd19410d4a9150636ebe4206",
        "raw_url": "https://github.com/PyGithub/PyGithub/raw/8a4f306d4b223682dd19410d4a9150636ebe4206/src/github/GitBlob.py",
        "filename": "src/github/GitBlob.py"
       },
       {
        "status": "modified",
        "deletions": 7,
        "blob_url": "https://github.com/PyGithub/PyGithub/blob/8a4f306d4b223682dd19410d4a9150636ebe4206/src/github/GitCommit.py",
        "changes": 14,
        "additions": 7,
        "sha": "8a4f306d4b223682dd19410d4a9150636ebe4206",
        "raw_url": "https://github.com/PyGithub/PyGithub/raw/8a4f306d4b223682dd19410d4a9150636ebe4206/src/github/GitCommit.py",
        "filename": "src/github/GitCommit.py"
       },
       {
        "patch": "@@ -32,12 +32,12 @@ def __useAttributes( self, attributes ):\n         for attribute in attributes:\n             assert attribute in [ \"sha\", \"type\", \"url\", ], attribute\n         # @toto No need to check if attribute is in attributes when attribute is mandatory\n-        if \"sha\" in attributes and attributes[ \"sha\" ] is not None:\n+        if \"sha\" in attributes and attributes[ \"sha\" ] is not None: # pragma no branch\n             assert isinstance( attributes[ \"sha\" ], str )\n             self.__sha = attributes[ \"sha\" ]\n-        if \"type\" in attributes and attributes[ \"type\" ] is not None:\n+        if \"type\" in attributes and attributes[ \"type\" ] is not None: # pragma no branch\n             assert isinstance( attributes[ \"type\" ], str )\n             self.__type = attributes[ \"type\" ]\n-        if \"url\" in attributes and attributes[ \"url\" ] is not None:\n+        if \"url\" in attributes and attributes[ \"url\" ] is not None: # pragma no branch\n             assert isinstance( attributes[ \"url\" ], str )\n             self.__url = attributes[ \"url\" ]",
        "status": "modified",
        "deletions": 3,
        "blob_url": "https://github.com/PyGithub/PyGithub/blob/8a4f306d4b223682dd19410d4a9150636ebe4206/src/github/GitObject.py",
        "changes": 6,
        "additions": 3,
        "sha": "8a4f306d4b223682dd19410d4a9150636ebe4206",
        "raw_url": "https://github.com/PyGithub/PyGithub/raw/8a4f306d4b223682dd19410d4a9150636ebe4206/src/github/GitObject.py",
        "filename": "src/github/GitObject.py"
       },
       {
        "patch": "@@ -55,12 +55,12 @@ def __useAttributes( self, attributes ):\n         for attribute in attributes:\n             assert attribute in [ \"object\", \"ref\", \"url\", ], attribute\n         # @toto No need to check if attribute is in attributes when attribute is mandatory\n-        if \"object\" in attributes and attributes[ \"object\" ] is not None:\n+        if \"object\" in attributes and attributes[ \"object\" ] is not None: # pragma no branch\n             assert isinstance( attributes[ \"object\" ], dict )\n             self.__object = GitObject.GitObject( self.__requester, attributes[ \"object\" ], completion = LazyCompletion )\n-        if \"ref\" in attributes and attributes[ \"ref\" ] is not None:\n+        if \"ref\" in attributes and attributes[ \"ref\" ] is not None: # pragma no branch\n             assert isinstance( attributes[ \"ref\" ], str )\n             self.__ref = attributes[ \"ref\" ]\n-        if \"url\" in attributes and attributes[ \"url\" ] is not None:\n+        if \"url\" in attributes and attributes[ \"url\" ] is not None: # pragma no branch\n             assert isinstance( attributes[ \"url\" ], str )\n             self.__url = attributes[ \"url\" ]",
        "status": "modified",
        "deletions": 3,
        "blob_url": "https://github.com/PyGithub/PyGithub/blob/8a4f306d4b223682dd19410d4a9150636ebe4206/src/github/GitRef.py",
        "changes": 6,
        "additions": 3,
        "sha": "8a4f306d4b223682dd19410d4a9150636ebe4206",
        "raw_url": "https://github.com/PyGithub/PyGithub/raw/8a4f306d4b223682dd19410d4a9150636ebe4206/src/github/GitRef.py",
        "filename": "src/github/GitRef.py"
       },
       {
        "status": "modified",
        "deletions": 6,
        "blob_url": "https://github.com/PyGithub/PyGithub/blob/8a4f306d4b223682dd19410d4a9150636ebe4206/src/github/GitTag.py",
        "changes": 12,
        "additions": 6,
        "sha": "8a4f306d4b223682dd19410d4a9150636ebe4206",
        "raw_url": "https://github.com/PyGithub/PyGithub/raw/8a4f306d4b223682dd19410d4a9150636ebe4206/src/github/GitTag.py",
        "filename": "src/github/GitTag.py"
       },
       {
        "status": "modified",
        "deletions": 3,
        "blob_url": "https://github.com/PyGithub/PyGithub/blob/8a4f306d4b223682dd19410d4a9150636ebe4206/src/github/GitTree.py",
        "changes": 6,
        "additions": 3,
        "sha": "8a4f306d4b223682dd19410d4a9150636ebe4206",
        "raw_url": "https://github.com/PyGithub/PyGithub/raw/8a4f306d4b223682dd19410d4a9150636ebe4206/src/github/GitTree.py",
        "filename": "src/github/GitTree.py"
       },
       {
        "status": "modified",
        "deletions": 6,
        "blob_url": "https://github.com/PyGithub/PyGithub/blob/8a4f306d4b223682dd19410d4a9150636ebe4206/src/github/GitTreeElement.py",
        "changes": 12,
        "additions": 6,
        "sha": "8a4f306d4b223682dd19410d4a9150636ebe4206",
        "raw_url": "https://github.com/PyGithub/PyGithub/raw/8a4f306d4b223682dd19410d4a9150636ebe4206/src/github/GitTreeElement.py",
        "filename": "src/github/GitTreeElement.py"
       },
       {
        "status": "modified",
        "deletions": 9,
        "blob_url": "https://github.com/PyGithub/PyGithub/blob/8a4f306d4b223682dd19410d4a9150636ebe4206/src/github/Hook.py",
        "changes": 18,
        "additions": 9,
        "sha": "8a4f306d4b223682dd19410d4a9150636ebe4206",
        "raw_url": "https://github.com/PyGithub/PyGithub/raw/8a4f306d4b223682dd19410d4a9150636ebe4206/src/github/Hook.py",
        "filename": "src/github/Hook.py"
       },
       {
        "status": "modified",
        "deletions": 21,
        "blob_url": "https://github.com/PyGithub/PyGithub/blob/8a4f306d4b223682dd19410d4a9150636ebe4206/src/github/Issue.py",
        "changes": 53,
        "additions": 32,
        "sha": "8a4f306d4b223682dd19410d4a9150636ebe4206",
        "raw_url": "https://github.com/PyGithub/PyGithub/raw/8a4f306d4b223682dd19410d4a9150636ebe4206/src/github/Issue.py",
        "filename": "src/github/Issue.py"
       },
       {
        "status": "modified",
        "deletions": 6,
        "blob_url": "https://github.com/PyGithub/PyGithub/blob/8a4f306d4b223682dd19410d4a9150636ebe4206/src/github/IssueComment.py",
        "changes": 12,
        "additions": 6,
        "sha": "8a4f306d4b223682dd19410d4a9150636ebe4206",
        "raw_url": "https://github.com/PyGithub/PyGithub/raw/8a4f306d4b223682dd19410d4a9150636ebe4206/src/github/IssueComment.py",
        "filename": "src/github/IssueComment.py"
       },
       {
        "status": "modified",
        "deletions": 7,
        "blob_url": "https://github.com/PyGithub/PyGithub/blob/8a4f306d4b223682dd19410d4a9150636ebe4206/src/github/IssueEvent.py",
        "changes": 14,
        "additions": 7,
        "sha": "8a4f306d4b223682dd19410d4a9150636ebe4206",
        "raw_url": "https://github.com/PyGithub/PyGithub/raw/8a4f306d4b223682dd19410d4a9150636ebe4206/src/github/IssueEvent.py",
        "filename": "src/github/IssueEvent.py"
       },
       {
        "status": "modified",
        "deletions": 3,
        "blob_url": "https://github.com/PyGithub/PyGithub/blob/8a4f306d4b223682dd19410d4a9150636ebe4206/src/github/Label.py",
        "changes": 13,
        "additions": 10,
        "sha": "8a4f306d4b223682dd19410d4a9150636ebe4206",
        "raw_url": "https://github.com/PyGithub/PyGithub/raw/8a4f306d4b223682dd19410d4a9150636ebe4206/src/github/Label.py",
        "filename": "src/github/Label.py"
       },
       {
        "status": "modified",
        "deletions": 11,
        "blob_url": "https://github.com/PyGithub/PyGithub/blob/8a4f306d4b223682dd19410d4a9150636ebe4206/src/github/Milestone.py",
        "changes": 22,
        "additions": 11,
        "sha": "8a4f306d4b223682dd19410d4a9150636ebe4206",
        "raw_url": "https://github.com/PyGithub/PyGithub/raw/8a4f306d4b223682dd19410d4a9150636ebe4206/src/github/Milestone.py",
        "filename": "src/github/Milestone.py"
       },
       {
        "status": "modified",
        "deletions": 26,
        "blob_url": "https://github.com/PyGithub/PyGithub/blob/8a4f306d4b223682dd19410d4a9150636ebe4206/src/github/NamedUser.py",
        "changes": 52,
        "additions": 26,
        "sha": "8a4f306d4b223682dd19410d4a9150636ebe4206",
        "raw_url": "https://github.com/PyGithub/PyGithub/raw/8a4f306d4b223682dd19410d4a9150636ebe4206/src/github/NamedUser.py",
        "filename": "src/github/NamedUser.py"
       },
       {
        "status": "modified",
        "deletions": 24,
        "blob_url": "https://github.com/PyGithub/PyGithub/blob/8a4f306d4b223682dd19410d4a9150636ebe4206/src/github/Organization.py",
        "changes": 48,
        "additions": 24,
        "sha": "8a4f306d4b223682dd19410d4a9150636ebe4206",
        "raw_url": "https://github.com/PyGithub/PyGithub/raw/8a4f306d4b223682dd19410d4a9150636ebe4206/src/github/Organization.py",
        "filename": "src/github/Organization.py"
       },
       {
        "patch": "@@ -32,12 +32,12 @@ def __useAttributes( self, attributes ):\n         for attribute in attributes:\n             assert attribute in [ \"admin\", \"pull\", \"push\", ], attribute\n         # @toto No need to check if attribute is in attributes when attribute is mandatory\n-        if \"admin\" in attributes and attributes[ \"admin\" ] is not None:\n+        if \"admin\" in attributes and attributes[ \"admin\" ] is not None: # pragma no branch\n             assert isinstance( attributes[ \"admin\" ], bool )\n             self.__admin = attributes[ \"admin\" ]\n-        if \"pull\" in attributes and attributes[ \"pull\" ] is not None:\n+        if \"pull\" in attributes and attributes[ \"pull\" ] is not None: # pragma no branch\n             assert isinstance( attributes[ \"pull\" ], bool )\n             self.__pull = attributes[ \"pull\" ]\n-        if \"push\" in attributes and attributes[ \"push\" ] is not None:\n+        if \"push\" in attributes and attributes[ \"push\" ] is not None: # pragma no branch\n             assert isinstance( attributes[ \"push\" ], bool )\n             self.__push = attributes[ \"push\" ]",
        "status": "modified",
        "deletions": 3,
        "blob_url": "https://github.com/PyGithub/PyGithub/blob/8a4f306d4b223682dd19410d4a9150636ebe4206/src/github/Permissions.py",
        "changes": 6,
        "additions": 3,
        "sha": "8a4f306d4b223682dd19410d4a9150636ebe4206",
        "raw_url": "https://github.com/PyGithub/PyGithub/raw/8a4f306d4b223682dd19410d4a9150636ebe4206/src/github/Permissions.py",
        "filename": "src/github/Permissions.py"
       },
       {
        "status": "modified",
        "deletions": 4,
        "blob_url": "https://github.com/PyGithub/PyGithub/blob/8a4f306d4b223682dd19410d4a9150636ebe4206/src/github/Plan.py",
        "changes": 8,
        "additions": 4,
        "sha": "8a4f306d4b223682dd19410d4a9150636ebe4206",
        "raw_url": "https://github.com/PyGithub/PyGithub/raw/8a4f306d4b223682dd19410d4a9150636ebe4206/src/github/Plan.py",
        "filename": "src/github/Plan.py"
       },
       {
        "status": "modified",
        "deletions": 26,
        "blob_url": "https://github.com/PyGithub/PyGithub/blob/8a4f306d4b223682dd19410d4a9150636ebe4206/src/github/PullRequest.py",
        "changes": 52,
        "additions": 26,
        "sha": "8a4f306d4b223682dd19410d4a9150636ebe4206",
        "raw_url": "https://github.com/PyGithub/PyGithub/raw/8a4f306d4b223682dd19410d4a9150636ebe4206/src/github/PullRequest.py",
        "filename": "src/github/PullRequest.py"
       },
       {
        "status": "modified",
        "deletions": 11,
        "blob_url": "https://github.com/PyGithub/PyGithub/blob/8a4f306d4b223682dd19410d4a9150636ebe4206/src/github/PullRequestComment.py",
        "changes": 22,
        "additions": 11,
        "sha": "8a4f306d4b223682dd19410d4a9150636ebe4206",
        "raw_url": "https://github.com/PyGithub/PyGithub/raw/8a4f306d4b223682dd19410d4a9150636ebe4206/src/github/PullRequestComment.py",
        "filename": "src/github/PullRequestComment.py"
       },
       {
        "status": "modified",
        "deletions": 9,
        "blob_url": "https://github.com/PyGithub/PyGithub/blob/8a4f306d4b223682dd19410d4a9150636ebe4206/src/github/PullRequestFile.py",
        "changes": 18,
        "additions": 9,
        "sha": "8a4f306d4b223682dd19410d4a9150636ebe4206",
        "raw_url": "https://github.com/PyGithub/PyGithub/raw/8a4f306d4b223682dd19410d4a9150636ebe4206/src/github/PullRequestFile.py",
        "filename": "src/github/PullRequestFile.py"
       },
       {
        "status": "modified",
        "deletions": 31,
        "blob_url": "https://github.com/PyGithub/PyGithub/blob/8a4f306d4b223682dd19410d4a9150636ebe4206/src/github/Repository.py",
        "changes": 62,
        "additions": 31,
        "sha": "8a4f306d4b223682dd19410d4a9150636ebe4206",
        "raw_url": "https://github.com/PyGithub/PyGithub/raw/8a4f306d4b223682dd19410d4a9150636ebe4206/src/github/Repository.py",
        "filename": "src/github/Repository.py"
       },
       {
        "status": "modified",
        "deletions": 5,
        "blob_url": "https://github.com/PyGithub/PyGithub/blob/8a4f306d4b223682dd19410d4a9150636ebe4206/src/github/RepositoryKey.py",
        "changes": 10,
        "additions": 5,
        "sha": "8a4f306d4b223682dd19410d4a9150636ebe4206",
        "raw_url": "https://github.com/PyGithub/PyGithub/raw/8a4f306d4b223682dd19410d4a9150636ebe4206/src/github/RepositoryKey.py",
        "filename": "src/github/RepositoryKey.py"
       },
       {
        "status": "modified",
        "deletions": 4,
        "blob_url": "https://github.com/PyGithub/PyGithub/blob/8a4f306d4b223682dd19410d4a9150636ebe4206/src/github/Tag.py",
        "changes": 8,
        "additions": 4,
        "sha": "8a4f306d4b223682dd19410d4a9150636ebe4206",
        "raw_url": "https://github.com/PyGithub/PyGithub/raw/8a4f306d4b223682dd19410d4a9150636ebe4206/src/github/Tag.py",
        "filename": "src/github/Tag.py"
       },
       {
        "status": "modified",
        "deletions": 6,
        "blob_url": "https://github.com/PyGithub/PyGithub/blob/8a4f306d4b223682dd19410d4a9150636ebe4206/src/github/Team.py",
        "changes": 12,
        "additions": 6,
        "sha": "8a4f306d4b223682dd19410d4a9150636ebe4206",
        "raw_url": "https://github.com/PyGithub/PyGithub/raw/8a4f306d4b223682dd19410d4a9150636ebe4206/src/github/Team.py",
        "filename": "src/github/Team.py"
       },
       {
        "status": "modified",
        "deletions": 5,
        "blob_url": "https://github.com/PyGithub/PyGithub/blob/8a4f306d4b223682dd19410d4a9150636ebe4206/src/github/UserKey.py",
        "changes": 10,
        "additions": 5,
        "sha": "8a4f306d4b223682dd19410d4a9150636ebe4206",
        "raw_url": "https://github.com/PyGithub/PyGithub/raw/8a4f306d4b223682dd19410d4a9150636ebe4206/src/github/UserKey.py",
        "filename": "src/github/UserKey.py"
       },
       {
        "status": "modified",
        "deletions": 1,
        "blob_url": "https://github.com/PyGithub/PyGithub/blob/8a4f306d4b223682dd19410d4a9150636ebe4206/test/Issue.py",
        "changes": 26,
        "additions": 25,
        "sha": "8a4f306d4b223682dd19410d4a9150636ebe4206",
        "raw_url": "https://github.com/PyGithub/PyGithub/raw/8a4f306d4b223682dd19410d4a9150636ebe4206/test/Issue.py",
        "filename": "test/Issue.py"
       },
       {
        "status": "modified",
        "deletions": 7,
        "blob_url": "https://github.com/PyGithub/PyGithub/blob/8a4f306d4b223682dd19410d4a9150636ebe4206/test/IssueEvent.py",
        "changes": 14,
        "additions": 7,
        "sha": "8a4f306d4b223682dd19410d4a9150636ebe4206",
        "raw_url": "https://github.com/PyGithub/PyGithub/raw/8a4f306d4b223682dd19410d4a9150636ebe4206/test/IssueEvent.py",
        "filename": "test/IssueEvent.py"
       },
       {
        "status": "added",
        "deletions": 0,
        "blob_url": "https://github.com/PyGithub/PyGithub/blob/8a4f306d4b223682dd19410d4a9150636ebe4206/test/ReplayData/Issue.testAddAndRemoveLabels.txt",
        "changes": 45,
        "additions": 45,
        "sha": "8a4f306d4b223682dd19410d4a9150636ebe4206",
        "raw_url": "https://github.com/PyGithub/PyGithub/raw/8a4f306d4b223682dd19410d4a9150636ebe4206/test/ReplayData/Issue.testAddAndRemoveLabels.txt",
        "filename": "test/ReplayData/Issue.testAddAndRemoveLabels.txt"
       },
       {
        "status": "added",
        "deletions": 0,
        "blob_url": "https://github.com/PyGithub/PyGithub/blob/8a4f306d4b223682dd19410d4a9150636ebe4206/test/ReplayData/Issue.testDeleteAndSetLabels.txt",
        "changes": 35,
        "additions": 35,
        "sha": "8a4f306d4b223682dd19410d4a9150636ebe4206",
        "raw_url": "https://github.com/PyGithub/PyGithub/raw/8a4f306d4b223682dd19410d4a9150636ebe4206/test/ReplayData/Issue.testDeleteAndSetLabels.txt",
        "filename": "test/ReplayData/Issue.testDeleteAndSetLabels.txt"
       },
       {
        "patch": "@@ -0,0 +1,5 @@\n+GET /repos/PyGithub/PyGithub/issues/28/labels {'Authorization': 'Basic login_and_password_removed'} null\n+200\n+[('status', '200 OK'), ('x-ratelimit-remaining', '4996'), ('content-length', '335'), ('server', 'nginx/1.0.13'), ('connection', 'keep-alive'), ('x-ratelimit-limit', '5000'), ('etag', '\"c9f9beccb03030beaf7b80927da6fef6\"'), ('date', 'Sun, 27 May 2012 08:56:31 GMT'), ('content-type', 'application/json; charset=utf-8')]\n+[{\"url\":\"https://api.github.com/repos/PyGithub/PyGithub/labels/Bug\",\"name\":\"Bug\",\"color\":\"e10c02\"},{\"url\":\"https://api.github.com/repos/PyGithub/PyGithub/labels/Project+management\",\"name\":\"Project management\",\"color\":\"444444\"},{\"url\":\"https://api.github.com/repos/PyGithub/PyGithub/labels/Question\",\"name\":\"Question\",\"color\":\"02e10c\"}]\n+",
        "status": "added",
        "deletions": 0,
        "blob_url": "https://github.com/PyGithub/PyGithub/blob/8a4f306d4b223682dd19410d4a9150636ebe4206/test/ReplayData/Issue.testGetLabels.txt",
        "changes": 5,
        "additions": 5,
        "sha": "8a4f306d4b223682dd19410d4a9150636ebe4206",
        "raw_url": "https://github.com/PyGithub/PyGithub/raw/8a4f306d4b223682dd19410d4a9150636ebe4206/test/ReplayData/Issue.testGetLabels.txt",
        "filename": "test/ReplayData/Issue.testGetLabels.txt"
       },
       {
        "status": "modified",
        "deletions": 7,
        "blob_url": "https://github.com/PyGithub/PyGithub/blob/8a4f306d4b223682dd19410d4a9150636ebe4206/test/ReplayData/IssueEvent.setUp.txt",
        "changes": 14,
        "additions": 7,
        "sha": "8a4f306d4b223682dd19410d4a9150636ebe4206",
        "raw_url": "https://github.com/PyGithub/PyGithub/raw/8a4f306d4b223682dd19410d4a9150636ebe4206/test/ReplayData/IssueEvent.setUp.txt",
        "filename": "test/ReplayData/IssueEvent.setUp.txt"
       }
      ]
      """##)
}
