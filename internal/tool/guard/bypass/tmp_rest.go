package bypass

var moreOpens, changes, creates, held []*Way
