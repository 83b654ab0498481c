//! Athena's statements for DataFusion sessions
