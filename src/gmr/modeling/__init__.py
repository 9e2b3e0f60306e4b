"""From a query and a document to answer logits: prompt, processor, backbone, head."""
