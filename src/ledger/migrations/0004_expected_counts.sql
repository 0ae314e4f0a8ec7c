-- How many instances of the series the sender holds (NumberOfSeriesRelatedInstances), where it is asked. The count is good
-- for the state of the revision that it was asked in: `counted_at` is that state's `arrivals`. No count: it was asked in vain.
ALTER TABLE revisions ADD COLUMN expected INTEGER;
ALTER TABLE revisions ADD COLUMN counted_at INTEGER;
