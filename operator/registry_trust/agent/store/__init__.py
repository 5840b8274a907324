"""The store on disk: generations, links and manifests under one root, and what notices that they changed."""
