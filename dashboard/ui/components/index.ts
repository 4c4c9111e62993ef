// What pages are made of.
export { Page, Card, Grid, Stat, Tabs, KeyValues, type Tone } from "./layout";
export { Badge, Bar, Button, Copy, Field, Icon, Money, Select, TextInput, Time, TimeRange } from "./controls";
export { Chart, type ChartLine } from "./chart";
export { SeriesChart, useSeries, type SeriesQuery } from "./series";
export { Table, type Column } from "./table";
export { StateTimeline, Waterfall, Sparkline, type Span, type TimelineRow } from "./svg";
export { Dialog, ConfirmDialog, useReset } from "./dialog";
export { EmptyState, ErrorState, Loaded, Notices, Skeleton, notify } from "./states";
export { FilterBar, type FilterKey } from "./filterbar";
