macro_rules! make {
    ($name:ident) => {
        /// Not expanded, so not found.
        fn $name() {}
    };
}

mod inner {
    #[doc(hidden)]
    /// Hidden but documented.
    pub fn hidden() {
        println!("/// not documentation");
    }

    #[test]
    fn works() {
        assert_eq!(1, 1);
    }

    #[doc = r#"Raw "text" here."#]
    #[doc = " Second line."]
    fn raw_doc() -> bool {
        true
    }
}
