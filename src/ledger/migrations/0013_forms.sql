-- Which form of a segmentation a result belongs to, where there are several for destinations to choose from; NULL: every
-- destination gets it.
ALTER TABLE results ADD COLUMN form TEXT CHECK (form IN ('labelmap', 'binary', 'secondary-capture'));
