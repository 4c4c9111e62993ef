package forebay

// SimilarTexts counts the texts that are kept to find similar requests by.
func (c *Client) SimilarTexts() int { return c.similar.Len() }
